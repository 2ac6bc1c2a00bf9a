"""What replicas pull: the log after a position, and all they need to take it in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from context_api.application.ports import ReadTx
from context_api.application.services import Services
from context_api.application.sync.fitting import fitting
from context_api.application.sync.greeting import check_owner, greet_if_due
from context_api.application.sync.ports import Greeting, Replica
from context_api.application.sync.results import acked_of
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import READ, Caller
from memory_core.errors import ContextError, CursorExpired, EpochChanged
from memory_core.events import Event, genesis
from memory_core.recall.context import SHARED_PROJECT
from memory_core.records import Document
from memory_core.sync.events import to_wire
from memory_core.sync.protocol import PROTOCOL, check_protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """Which part of a log is asked for.

    ``epoch`` is that of the log the replica last read, None if it read none; ``wait_s`` is how
    long to wait for news where there are none yet.
    """

    greeting: Greeting
    epoch: str | None = None
    after: int = 0
    limit: int
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A part of a log, of one moment."""

    project: Document
    shared: Document | None
    events: Sequence[Event]
    hidden: frozenset[str]
    digest: bytes
    known: Replica | None


Wait = Callable[[tuple[str, str], int, float], Awaitable[Caller]]
"""Waits for news of a project (tenant, id) after a position; returns who asks afterwards."""


async def pull(
    services: Services, caller: Caller, project: str, asked: PullRequest, wait: Wait
) -> Document:
    """Returns up to ``limit`` events after the replica's position, with their digests.

    Fewer where their content is long, but at least one if there is any.

    Content of records that are PRIVATE to somebody else is withheld. Where there is nothing new
    the answer waits for it.

    Raises:
        UpgradeRequired: hub and replica speak different versions of the protocol.
        ProjectNotFound: there is no such project for the caller.
        EpochChanged, CursorExpired: the log took another course since the replica read it.
        Forbidden: the replica is somebody else's.
    """
    caller.require(READ)
    check_protocol(asked.greeting.protocol, side="replica")
    page = await _look(services, caller, project, asked)
    project_id = str(page.project["id"])
    said = replace(asked.greeting, cursor_epoch=str(page.project["epoch"]), cursor_seq=asked.after)
    # Reading must go on also where nothing can be written.
    with suppress(ContextError):
        await greet_if_due(services, caller, project_id, page.known, said)
    if asked.wait_s > 0 and not page.events:
        caller = await wait((caller.tenant_id, project_id), asked.after, asked.wait_s)
        page = await _look(services, caller, project, asked)
    return _answer(services, caller, page, asked)


async def _look(services: Services, caller: Caller, project: str, asked: PullRequest) -> _Page:
    async with services.uow.read(viewer_of(caller)) as tx:
        found = await project_named(tx.records, project)
        project_id, head = str(found["id"]), int(str(found["head"]))
        if asked.epoch not in {None, found["epoch"]}:
            raise EpochChanged
        if asked.after > head:
            raise CursorExpired(f"the log ends at {head}; read it again from the beginning")
        known = await tx.replicas.get(project_id, asked.greeting.id)
        await check_owner(tx.replicas, known, asked.greeting.id, caller)
        events = await _next(tx, project_id, asked) if asked.after < head else []
        return _Page(
            project=found,
            shared=await tx.records.project(SHARED_PROJECT),
            events=events,
            hidden=await tx.records.hidden(project_id) if events else frozenset(),
            digest=events[-1].digest if events else await _digest(tx, project_id),
            known=known,
        )


async def _next(tx: ReadTx, project_id: str, asked: PullRequest) -> Sequence[Event]:
    lengths = await tx.log.lengths(project_id, asked.after, asked.limit)
    return await tx.log.page(project_id, asked.after, fitting(lengths))


async def _digest(tx: ReadTx, project_id: str) -> bytes:
    head = await tx.log.head(project_id)
    return head.digest if head else genesis(project_id)


def is_hidden(event: Event, hidden: frozenset[str]) -> bool:
    """Says whether an event is about one of the ``hidden`` records, or a part of one."""
    return event.record_id in hidden or event.parent_id in hidden


def _answer(services: Services, caller: Caller, page: _Page, asked: PullRequest) -> Document:
    head = int(str(page.project["head"]))
    last = page.events[-1].seq if page.events else asked.after
    embedder, shared = services.indexes.embedder, page.shared
    return {
        "protocol": PROTOCOL,
        "epoch": page.project["epoch"],
        "head": head,
        "floor": 0,
        "project": page.project,
        "actor": caller.actor,
        "items": [to_wire(event, withheld=is_hidden(event, page.hidden)) for event in page.events],
        "next_after": last,
        "up_to_date": last == head,
        "acked": acked_of(page.known),
        "digest": page.digest.hex(),
        "model": None
        if embedder is None
        else {"name": embedder.model, "dimension": embedder.dimension},
        "shared": None if shared is None else {"id": shared["id"], "slug": shared["slug"]},
    }
