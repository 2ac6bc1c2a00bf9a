"""Erasures made after a backup, done again while it is taken in.

What was erased is taken out of each event before anything is stored, so that nobody reads it
meanwhile; then the log gets the erasure itself, so that no copy that still has the record can bring
it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from context_api.application import audit
from context_api.application.ports import UnitOfWork, WriteTx
from context_api.domain.caller import Caller
from memory_core.clock import now
from memory_core.errors import InvalidInput
from memory_core.events import Event, EventDraft, EventType
from memory_core.ids import parse_uuid, uuid7
from memory_core.records import Document, Kind, Ref

_ERASED: Final[Mapping[Kind, EventType]] = {
    Kind.SESSION: EventType.SESSION_ERASED,
    Kind.MESSAGE: EventType.MESSAGE_ERASED,
    Kind.CHECKPOINT: EventType.CHECKPOINT_ERASED,
    Kind.PATTERN: EventType.PATTERN_ERASED,
}
_PARTS: Final = frozenset({Kind.MESSAGE, Kind.CHECKPOINT})
"""What belongs to a session, which its erasure names."""


@dataclass(slots=True)
class Erasures:
    """The records of a tenant that must not come back, by their project."""

    _wanted: dict[str, dict[str, Kind]] = field(default_factory=dict)
    _due: dict[str, EventDraft] = field(default_factory=dict)

    def want(self, content: dict[str, Any]) -> None:
        """Takes a line of the list: ``project``, ``kind`` and ``id`` of what was erased.

        Raises:
            InvalidInput: nothing of this kind can be erased, or an id is none.
        """
        kind = Kind(content["kind"])
        if kind not in _ERASED:
            raise InvalidInput(f"a {kind.value} cannot be erased")
        of_project = self._wanted.setdefault(parse_uuid(content["project"]), {})
        of_project[parse_uuid(content["id"])] = kind

    def stripped(self, event: Event) -> Event:
        """Returns a whole event without what was erased, and notes the erasure that is due."""
        wanted = self._wanted.get(event.project_id, {})
        kind = wanted.get(event.record_id)
        if event.type in _ERASED.values():
            self._due.pop(event.record_id, None)
            return event
        if kind is not None and event.record_id not in self._due and kind is event.kind:
            self._due[event.record_id] = _draft(event)
        if kind is None and event.parent_id not in wanted:
            return event
        return replace(event, content=None, salt=None)

    async def finish(self, uow: UnitOfWork, caller: Caller, project_id: str) -> int:
        """Appends the erasures that are due to a project's log; returns how many there were."""
        due, self._due = self._due, {}
        if not due:
            return 0
        async with uow.write(caller.tenant_id) as tx:
            await tx.hold(project_id)
            drafts = await _missing(tx, due)
            for draft in drafts:
                target = f"{draft.kind.value} {draft.record_id}"
                await audit.note(tx, caller, "record.erase", target, project=project_id, again=True)
            if drafts:
                await tx.append(
                    project_id,
                    drafts,
                    op_id=uuid7(),
                    op_hash=None,
                    actor=caller.actor,
                    recorded_at=now(),
                )
            await tx.commit()
        return len(drafts)


async def _missing(tx: WriteTx, due: Mapping[str, EventDraft]) -> list[EventDraft]:
    """Returns those that the log does not have yet."""
    refs = {record_id: Ref(draft.kind, record_id) for record_id, draft in due.items()}
    stored = await tx.documents(refs.values())
    return [
        draft
        for record_id, draft in due.items()
        if not stored.get(refs[record_id], {}).get("erased")
    ]


def _draft(event: Event) -> EventDraft:
    """Returns the erasure of the record that ``event`` is the first to name."""
    content: Document = {}
    if event.kind is Kind.MESSAGE:
        content["position"] = (event.content or {}).get("position", 0)
    return EventDraft(
        type=_ERASED[event.kind],
        kind=event.kind,
        record_id=event.record_id,
        parent_id=event.parent_id if event.kind in _PARTS else None,
        occurred_at=now(),
        content=content,
    )
