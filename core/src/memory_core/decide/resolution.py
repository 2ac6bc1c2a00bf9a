"""The decision that closes a conflict."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from memory_core.decide.changes import NULLABLE, UPDATED, check_openness
from memory_core.decide.known import Decision, Known, draft_of, live_record
from memory_core.errors import Conflict, Deleted, InvalidInput
from memory_core.events import EventDraft, EventType
from memory_core.fields import Input
from memory_core.operations import (
    Operation,
    ResolveConflict,
    UpdatePattern,
    UpdateProject,
    UpdateSession,
)
from memory_core.records import Document, Kind, Ref

_UPDATES: Mapping[Kind, type[Input]] = {
    Kind.PROJECT: UpdateProject,
    Kind.SESSION: UpdateSession,
    Kind.PATTERN: UpdatePattern,
}


def resolve_conflict(operation: Operation, body: ResolveConflict, known: Known) -> Decision:
    """Decides `ResolveConflict`: closes it, and gives the field the chosen value.

    Where the record has been deleted meanwhile there is nothing left to change.
    """
    conflict = live_record(Ref(operation.kind, operation.record_id), known)
    about = (conflict.get("record_kind"), conflict.get("record_id"))
    if about != (body.record_kind.value, body.record_id):
        raise InvalidInput("the conflict is about another record")
    value = _chosen(body, conflict)
    settled: Document = {"resolution": body.resolution, "value": value}
    if conflict.get("resolution") is not None:
        if all(conflict.get(name) == settled[name] for name in settled):
            return Decision()
        raise Conflict(f"the conflict was resolved before, as {conflict.get('resolution')}")
    closed = draft_of(
        operation, known, EventType.CONFLICT_RESOLVED, settled, parent_id=body.record_id
    )
    return Decision(drafts=(*_change(body, str(conflict.get("field")), value, known), closed))


def _chosen(body: ResolveConflict, conflict: Document) -> JsonValue:
    if body.resolution == "edited":
        if "value" not in body.model_fields_set:
            raise InvalidInput("an edited value must be given")
        return body.value
    if "value" in body.model_fields_set:
        raise InvalidInput("a value is given only when it is edited")
    return conflict.get(body.resolution)


def _change(
    body: ResolveConflict, field: str, value: JsonValue, known: Known
) -> tuple[EventDraft, ...]:
    try:
        record = live_record(Ref(body.record_kind, body.record_id), known)
    except Deleted:
        return ()
    if body.resolution == "kept" or record.get(field) == value:
        return ()
    changes: Document = {field: value}
    if field != "parent_id":
        changes = _checked(body.record_kind, field, value)
    check_openness(changes, record)
    return (
        EventDraft(
            type=UPDATED[body.record_kind],
            kind=body.record_kind,
            record_id=body.record_id,
            occurred_at=known.now,
            content={"changes": changes},
            redactions=known.redactions.get(body.record_id, {}),
        ),
    )


def _checked(kind: Kind, field: str, value: JsonValue) -> Document:
    """Returns the change as the record's own update would make it."""
    if value is None and field not in NULLABLE:
        raise InvalidInput(f"{field} cannot be empty")
    try:
        update = _UPDATES[kind].model_validate({field: value})
    except ValidationError as error:
        raise InvalidInput(f"this is no value for {field}") from error
    return update.model_dump(mode="json", include={field})
