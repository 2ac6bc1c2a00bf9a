"""The log of a project for those who follow it: pages and a live stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from context_api.application.services import Services
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import READ, Caller
from memory_core.errors import CursorExpired, ProjectNotFound
from memory_core.events import Event
from memory_core.records import Document

POLL_S = 2.0
STREAM_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Events in order, and where the log stands."""

    items: list[Document]
    head: int
    epoch: str


async def page(
    services: Services, caller: Caller, project_id: str, after: int, limit: int
) -> EventPage:
    """Returns up to ``limit`` events after ``after``.

    Raises:
        ProjectNotFound: there is no such project for the caller.
        CursorExpired: the log has not come to ``after``. A reader that has been there saw
            another course of it, before a restore or a power cut, and would miss what is new.
    """
    caller.require(READ)
    async with services.uow.read(viewer_of(caller)) as tx:
        project = await project_named(tx.records, project_id)
        identity = str(project["id"])
        head = await tx.log.head(identity)
        if head is None:
            raise ProjectNotFound
        if after > head.seq:
            raise CursorExpired(f"the log ends at {head.seq}; read it again from the beginning")
        found = await tx.log.page(identity, after, limit)
        hidden = await tx.records.hidden(identity) if found else frozenset()
    return EventPage(
        items=[shown(event, hidden) for event in found], head=head.seq, epoch=head.epoch
    )


async def follow(
    services: Services, caller: Caller, project_id: str, after: int
) -> AsyncIterator[Document]:
    """Yields events after ``after`` as they are committed; never ends by itself."""
    while True:
        seen = services.wakeup.round
        found = await page(services, caller, project_id, after, STREAM_PAGE)
        for item in found.items:
            yield item
            after = int(str(item["seq"]))
        if len(found.items) < STREAM_PAGE:
            await services.wakeup.wait(seen, POLL_S)


def shown(event: Event, hidden: frozenset[str]) -> Document:
    """Returns an event as the API shows it; content about ``hidden`` records is left out."""
    visible = event.record_id not in hidden and event.parent_id not in hidden
    return {
        "seq": event.seq,
        "type": event.type.value,
        "kind": event.kind.value,
        "record_id": event.record_id,
        "parent_id": event.parent_id,
        "op_id": event.op_id,
        "actor": event.actor,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "content": event.content if visible else None,
        "redactions": dict(event.redactions),
        "digest": event.digest.hex(),
    }
