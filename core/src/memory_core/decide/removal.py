"""Decisions that take records away, with the child sessions of a session."""

from __future__ import annotations

from dataclasses import replace

from memory_core.decide.known import Decision, Known, draft_of, live_record
from memory_core.events import EventType
from memory_core.operations import Delete, Erase, Operation
from memory_core.records import Document, Kind, Ref

_DELETED = {
    Kind.SESSION: EventType.SESSION_DELETED,
    Kind.MESSAGE: EventType.MESSAGE_DELETED,
    Kind.CHECKPOINT: EventType.CHECKPOINT_DELETED,
    Kind.PATTERN: EventType.PATTERN_DELETED,
}
_ERASED = {
    Kind.SESSION: EventType.SESSION_ERASED,
    Kind.MESSAGE: EventType.MESSAGE_ERASED,
    Kind.CHECKPOINT: EventType.CHECKPOINT_ERASED,
    Kind.PATTERN: EventType.PATTERN_ERASED,
}


def delete(operation: Operation, body: Delete, known: Known) -> Decision:
    """Decides `Delete`: a tombstone that nothing brings back."""
    document = live_record(Ref(operation.kind, operation.record_id), known)
    return _remove(operation, known, _DELETED[operation.kind], document, {})


def erase(operation: Operation, body: Erase, known: Known) -> Decision:
    """Decides `Erase`, also of what has been deleted before."""
    ref = Ref(operation.kind, operation.record_id)
    stored = known.documents.get(ref)
    if stored is not None and not stored.get("erased"):
        shown = {ref: {**stored, "deleted": False}}
        known = replace(known, documents={**known.documents, **shown})
    document = live_record(ref, known)
    content: Document = {}
    if operation.kind is Kind.MESSAGE:
        content["position"] = document.get("position")
    return _remove(operation, known, _ERASED[operation.kind], document, content)


def _remove(
    operation: Operation, known: Known, type_: EventType, document: Document, content: Document
) -> Decision:
    children = [draft_of(operation, known, type_, {}, record_id=child) for child in known.children]
    session_id = document.get("session_id")
    parent_id = session_id if isinstance(session_id, str) else None
    own = draft_of(operation, known, type_, content, parent_id=parent_id)
    return Decision(drafts=(*children, own))
