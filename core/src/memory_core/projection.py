"""Projection: the one place that says what an event does to records.

`apply` is pure. The hub writes its result as rows, a replica as JSON documents; both get
the same documents from the same events. Replaying a log whose erased events have lost their
content gives the same documents as having erased them live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from memory_core.events import Event, EventType
from memory_core.records import Document, Kind, Ref, SessionStatus, quality_score

Lookup = Callable[[Ref], Document | None]


@dataclass(frozen=True, slots=True)
class Effects:
    """What an event changes: documents to store, and a session whose content goes."""

    documents: Mapping[Ref, Document] = field(default_factory=dict)
    erased_record: Ref | None = None


def apply(event: Event, lookup: Lookup) -> Effects:
    """Returns the documents after ``event``, given those before through ``lookup``."""
    return _HANDLERS[event.type](event, lookup)


def _stamp(document: Document, event: Event, *, counts: bool = True) -> Document:
    """Marks a document as changed by ``event``; ``counts`` says if it is a new version."""
    document["updated_at"] = event.recorded_at
    document["seq"] = event.seq
    if counts:
        version = document.get("version", 0)
        document["version"] = (version if isinstance(version, int) else 0) + 1
        document["last_op"] = event.op_id
    return document


def _created(event: Event, lookup: Lookup) -> Effects:
    if event.content is None:
        return Effects()
    document: Document = {
        **event.content,
        "id": event.record_id,
        "deleted": False,
        "erased": False,
        "created_seq": event.seq,
        "owner": event.actor,
    }
    if event.kind is not Kind.PROJECT:
        document["project_id"] = event.project_id
    if event.kind is Kind.SESSION:
        document.update(status=SessionStatus.ACTIVE.value, message_count=0, token_count=0)
    if event.kind is Kind.PATTERN:
        document.update(successes=0, failures=0, reuse_count=0, deprecated=False)
        _rate(document)
    document.setdefault("created_at", event.occurred_at)
    return Effects({Ref(event.kind, event.record_id): _stamp(document, event)})


def _message_appended(event: Event, lookup: Lookup) -> Effects:
    documents = dict(_created(event, lookup).documents)
    session_ref = Ref(Kind.SESSION, event.parent_id or "")
    session = lookup(session_ref)
    if session is not None:
        changed = dict(session)
        changed["message_count"] = _number(session, "message_count") + 1
        if event.content is not None:
            tokens = _number(session, "token_count") + _number(event.content, "token_count")
            changed["token_count"] = tokens
        documents[session_ref] = _stamp(changed, event, counts=False)
    return Effects(documents)


def _updated(event: Event, lookup: Lookup) -> Effects:
    ref = Ref(event.kind, event.record_id)
    before = lookup(ref)
    if before is None or event.content is None:
        return Effects()
    document = dict(before)
    changes = event.content.get("changes")
    if isinstance(changes, dict):
        document.update(changes)
    for name in ("tags", "remotes"):
        added, removed = event.content.get(f"{name}_add"), event.content.get(f"{name}_remove")
        if added or removed:
            kept = (set(_texts(before.get(name))) - set(_texts(removed))) | set(_texts(added))
            document[name] = [*sorted(kept)]
    if event.kind is Kind.PATTERN:
        _rate(document)
    return Effects({ref: _stamp(document, event)})


def _outcome_recorded(event: Event, lookup: Lookup) -> Effects:
    ref = Ref(event.kind, event.record_id)
    before = lookup(ref)
    if before is None or event.content is None:
        return Effects()
    document = dict(before)
    counter = "successes" if event.content.get("success") else "failures"
    document[counter] = _number(before, counter) + 1
    document["reuse_count"] = _number(before, "reuse_count") + 1
    _rate(document)
    return Effects({ref: _stamp(document, event, counts=False)})


def _deleted(event: Event, lookup: Lookup) -> Effects:
    ref = Ref(event.kind, event.record_id)
    before = lookup(ref)
    if before is None:
        return Effects()
    document = {**before, "deleted": True}
    if event.kind is Kind.SESSION:
        document["status"] = SessionStatus.DELETED.value
    return Effects({ref: _stamp(document, event)})


def _erased(event: Event, lookup: Lookup) -> Effects:
    """Leaves a tombstone made from the event alone, so that a replay makes the same one."""
    ref = Ref(event.kind, event.record_id)
    tombstone: Document = {
        "id": event.record_id,
        "project_id": event.project_id,
        "deleted": True,
        "erased": True,
        "owner": event.actor,
        "seq": event.seq,
        "created_seq": event.seq,
        "version": 1,
        "last_op": event.op_id,
        "created_at": event.recorded_at,
        "updated_at": event.recorded_at,
    }
    documents = {ref: tombstone}
    before = lookup(ref)
    if event.kind is Kind.SESSION:
        tombstone["status"] = SessionStatus.DELETED.value
    elif event.parent_id is not None:
        tombstone["session_id"] = event.parent_id
    if event.kind is Kind.MESSAGE:
        tombstone["position"] = (event.content or {}).get("position", 0)
        session_ref = Ref(Kind.SESSION, event.parent_id or "")
        session = lookup(session_ref)
        if session is not None and not session.get("erased"):
            removed = _number(before, "token_count") if before is not None else 0
            tokens = _number(session, "token_count") - removed
            changed: Document = {**session, "token_count": tokens}
            documents[session_ref] = _stamp(changed, event, counts=False)
    return Effects(documents, erased_record=ref)


def _conflict_opened(event: Event, lookup: Lookup) -> Effects:
    if event.content is None:
        return Effects()
    document: Document = {
        **event.content,
        "id": event.record_id,
        "project_id": event.project_id,
        "record_id": event.parent_id,
        "author": event.actor,
        "resolution": None,
        "resolved_by": None,
        "created_at": event.recorded_at,
    }
    return Effects({Ref(event.kind, event.record_id): _stamp(document, event)})


def _conflict_resolved(event: Event, lookup: Lookup) -> Effects:
    ref = Ref(event.kind, event.record_id)
    before = lookup(ref)
    if before is None or event.content is None:
        return Effects()
    document = {**before, **event.content, "resolved_by": event.actor}
    return Effects({ref: _stamp(document, event)})


def _rate(document: Document) -> None:
    document["quality_score"] = quality_score(
        _number(document, "successes"),
        _number(document, "failures"),
        _number(document, "frequency"),
        _number(document, "reuse_count"),
    )


def _number(document: Document, name: str) -> int:
    value = document.get(name)
    return value if isinstance(value, int) else 0


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


_HANDLERS: Mapping[EventType, Callable[[Event, Lookup], Effects]] = {
    EventType.PROJECT_CREATED: _created,
    EventType.PROJECT_UPDATED: _updated,
    EventType.SESSION_CREATED: _created,
    EventType.SESSION_UPDATED: _updated,
    EventType.SESSION_DELETED: _deleted,
    EventType.SESSION_ERASED: _erased,
    EventType.MESSAGE_APPENDED: _message_appended,
    EventType.MESSAGE_DELETED: _deleted,
    EventType.MESSAGE_ERASED: _erased,
    EventType.CHECKPOINT_CREATED: _created,
    EventType.CHECKPOINT_DELETED: _deleted,
    EventType.CHECKPOINT_ERASED: _erased,
    EventType.PATTERN_CREATED: _created,
    EventType.PATTERN_UPDATED: _updated,
    EventType.PATTERN_OUTCOME_RECORDED: _outcome_recorded,
    EventType.PATTERN_DELETED: _deleted,
    EventType.PATTERN_ERASED: _erased,
    EventType.CONFLICT_OPENED: _conflict_opened,
    EventType.CONFLICT_RESOLVED: _conflict_resolved,
}
