"""Decisions that change records: updates against a base, outcomes of patterns."""

from __future__ import annotations

from pydantic import JsonValue

from memory_core.decide.known import Decision, Known, draft_of, live_record
from memory_core.errors import InvalidInput
from memory_core.events import EventDraft, EventType
from memory_core.ids import derive_id
from memory_core.operations import (
    Operation,
    RecordOutcome,
    UpdatePattern,
    UpdateProject,
    UpdateSession,
)
from memory_core.records import Document, Kind, Privacy, Ref

_OPENNESS = {Privacy.PRIVATE: 0, Privacy.TEAM: 1, Privacy.PUBLIC: 2}
UPDATED = {
    Kind.PROJECT: EventType.PROJECT_UPDATED,
    Kind.SESSION: EventType.SESSION_UPDATED,
    Kind.PATTERN: EventType.PATTERN_UPDATED,
}
NULLABLE = frozenset({"ended_at", "parent_id"})


def update(
    operation: Operation, body: UpdateSession | UpdatePattern | UpdateProject, known: Known
) -> Decision:
    """Decides an update: fields nobody else changed since the base are applied.

    A field changed on both sides keeps the stored value, and the pushed one is kept as a
    conflict. Tags and remotes are sets whose additions and removals merge.
    """
    current = live_record(Ref(operation.kind, operation.record_id), known)
    # What is given is stored whole, with what it leaves out inside it.
    whole: Document = body.model_dump(mode="json")
    pushed: Document = {name: whole[name] for name in whole if name in body.model_fields_set}
    if "parent" in pushed:
        pushed["parent_id"] = pushed.pop("parent")
    edits = _take_set_edits(pushed, current)
    check_openness(pushed, current)
    changes: Document = {}
    conflicts: list[EventDraft] = []
    for name, value in pushed.items():
        if current.get(name) == value or (value is None and name not in NULLABLE):
            continue
        if known.changed is None or name in known.changed:
            conflicts.append(_conflict(operation, known, name, current.get(name), value))
        else:
            changes[name] = value
    drafts: list[EventDraft] = []
    if changes or edits:
        content: Document = {"changes": changes, **edits}
        drafts.append(draft_of(operation, known, UPDATED[operation.kind], content))
    return Decision(
        drafts=(*drafts, *conflicts),
        conflicts=tuple(str(draft.content["field"]) for draft in conflicts),
    )


def _take_set_edits(pushed: Document, current: Document) -> Document:
    """Takes tags and remotes out of ``pushed`` as additions and removals that matter."""
    edits: Document = {}
    for name in ("tags", "remotes"):
        before = _names(current.get(name))
        added = _names(pushed.pop(f"{name}_add", None))
        removed = _names(pushed.pop(f"{name}_remove", None))
        if name in pushed:
            wanted = _names(pushed.pop(name))
            added, removed = added | (wanted - before), removed | (before - wanted)
        if added - before:
            edits[f"{name}_add"] = [*sorted(added - before)]
        if (removed - added) & before:
            edits[f"{name}_remove"] = [*sorted((removed - added) & before)]
    return edits


def _names(value: JsonValue) -> set[str]:
    return {str(item) for item in value} if isinstance(value, list) else set()


def check_openness(pushed: Document, current: Document) -> None:
    """Refuses to open a record wider: its text was redacted for the narrower level."""
    wanted, held = pushed.get("privacy_level"), current.get("privacy_level")
    if wanted is None or held is None or wanted == held:
        return
    if _OPENNESS[Privacy(str(wanted))] > _OPENNESS[Privacy(str(held))]:
        raise InvalidInput(f"a record cannot be opened from {held} to {wanted}; save it anew")


def _conflict(
    operation: Operation, known: Known, name: str, kept: JsonValue, value: JsonValue
) -> EventDraft:
    return EventDraft(
        type=EventType.CONFLICT_OPENED,
        kind=Kind.CONFLICT,
        record_id=derive_id(known.now, "conflict", operation.op_id, name),
        parent_id=operation.record_id,
        occurred_at=known.now,
        content={
            "record_kind": operation.kind.value,
            "field": name,
            "kept": kept,
            "pushed": value,
            "base": operation.base,
        },
    )


def record_outcome(operation: Operation, body: RecordOutcome, known: Known) -> Decision:
    """Decides `RecordOutcome`: counters, which merge whatever their order."""
    live_record(Ref(operation.kind, operation.record_id), known)
    content: Document = {"success": body.success}
    draft = draft_of(operation, known, EventType.PATTERN_OUTCOME_RECORDED, content)
    return Decision(drafts=(draft,))
