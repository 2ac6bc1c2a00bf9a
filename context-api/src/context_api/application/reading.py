"""Reading records: single ones, lists, messages, tags, conflicts."""

from __future__ import annotations

from context_api.application.ports import ReadTx
from context_api.application.requests import Listing, Page
from context_api.application.services import Services
from context_api.application.viewing import listing, project_named, viewer_of, window_of
from context_api.domain.caller import READ, Caller
from memory_core.errors import Deleted, NotFound
from memory_core.projection import apply
from memory_core.records import Document, Kind, Privacy, Ref
from memory_core.requests import CheckpointFilter, PatternFilter, SessionFilter


async def get(
    services: Services, caller: Caller, kind: Kind, record_id: str, as_of: int | None = None
) -> Document:
    """Returns one record, as it is or as it was at a position of its project's log.

    Raises:
        NotFound: there is none that the caller may see, or there was none yet.
        Deleted: it has been deleted.
    """
    caller.require(READ)
    async with services.uow.read(viewer_of(caller)) as tx:
        document = await tx.records.get(kind, record_id)
        if document is None:
            await _say_why(tx, caller, kind, record_id)
            raise NotFound(f"there is no {kind.value} {record_id}")
        return document if as_of is None else await _as_of(tx, kind, document, as_of)


async def _say_why(tx: ReadTx, caller: Caller, kind: Kind, record_id: str) -> None:
    """Raises `Deleted` where the caller could have read the record before its deletion."""
    stored = await tx.records.stored(kind, record_id)
    if stored is None or not stored.get("deleted"):
        return
    session_id = stored.get("session_id")
    session = await tx.records.stored(Kind.SESSION, str(session_id)) if session_id else None
    if all(_is_readable(one, caller) for one in (stored, session or stored)):
        raise Deleted(f"the {kind.value} {record_id} has been deleted")


def _is_readable(stored: Document, caller: Caller) -> bool:
    return stored.get("privacy_level") != Privacy.PRIVATE or stored.get("owner") == caller.actor


async def _as_of(tx: ReadTx, kind: Kind, document: Document, as_of: int) -> Document:
    """Replays the record's events up to ``as_of``; what is kept beside the log stays out."""
    ref = Ref(kind, str(document["id"]))
    state: dict[Ref, Document] = {}
    for event in await tx.log.of_record(ref.id, upto=as_of):
        state.update(apply(event, state.get).documents)
    found = state.get(ref)
    if found is None or found.get("deleted"):
        raise NotFound(f"there was no {kind.value} {ref.id} at {as_of}")
    return {**found, "project": document.get("project"), "as_of": as_of}


async def sessions(
    services: Services, caller: Caller, chosen: SessionFilter, page: Page
) -> Listing:
    """Returns sessions, newest first."""
    caller.require(READ)
    async with services.uow.read(viewer_of(caller)) as tx:
        chosen = chosen.model_copy(update=await _project_id(tx, chosen.project))
        return listing(await tx.records.sessions(chosen, window_of(page)), page)


async def checkpoints(
    services: Services, caller: Caller, chosen: CheckpointFilter, page: Page
) -> Listing:
    """Returns checkpoints, newest first."""
    caller.require(READ)
    async with services.uow.read(viewer_of(caller)) as tx:
        chosen = chosen.model_copy(update=await _project_id(tx, chosen.project))
        return listing(await tx.records.checkpoints(chosen, window_of(page)), page)


async def patterns(
    services: Services, caller: Caller, chosen: PatternFilter, page: Page
) -> Listing:
    """Returns patterns, newest first."""
    caller.require(READ)
    async with services.uow.read(viewer_of(caller)) as tx:
        chosen = chosen.model_copy(update=await _project_id(tx, chosen.project))
        return listing(await tx.records.patterns(chosen, window_of(page)), page)


async def messages(
    services: Services, caller: Caller, session_id: str, after: int, limit: int
) -> list[Document]:
    """Returns a session's messages after a position, in order.

    Raises:
        NotFound, Deleted: as for the session itself.
    """
    await get(services, caller, Kind.SESSION, session_id)
    async with services.uow.read(viewer_of(caller)) as tx:
        return await tx.records.messages(session_id, after, limit)


async def tags(services: Services, caller: Caller, project: str | None) -> list[Document]:
    """Returns the tags in use with how many sessions and patterns carry them."""
    caller.require(READ)
    async with services.uow.read(viewer_of(caller)) as tx:
        return await tx.records.tags((await _project_id(tx, project))["project"])


async def conflicts(services: Services, caller: Caller, project: str | None) -> list[Document]:
    """Returns the open conflicts, newest first."""
    caller.require(READ)
    async with services.uow.read(viewer_of(caller)) as tx:
        return await tx.records.conflicts((await _project_id(tx, project))["project"])


async def _project_id(tx: ReadTx, name: str | None) -> dict[str, str | None]:
    if name is None:
        return {"project": None}
    return {"project": str((await project_named(tx.records, name))["id"])}
