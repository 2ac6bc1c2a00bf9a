"""Decisions that make records and append messages."""

from __future__ import annotations

from memory_core.decide.known import Decision, Known, content_of, draft_of, live_record, number
from memory_core.errors import AlreadyExists
from memory_core.events import EventDraft, EventType
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateProject,
    CreateSession,
    NewMessage,
    Operation,
)
from memory_core.records import Document, Kind, Privacy, Ref


def _exists_already(operation: Operation, known: Known, content: Document) -> bool:
    """Says whether a creation repeats one that is stored; raises if the id is another's."""
    ref = Ref(operation.kind, operation.record_id)
    stored = known.documents.get(ref)
    if stored is None:
        return False
    of_project = "id" if ref.kind is Kind.PROJECT else "project_id"
    if stored.get(of_project) != known.project_id:
        raise AlreadyExists(f"the id {operation.record_id} is in use in another project")
    live = live_record(ref, known)
    source = content.get("source_id")
    if source is not None and live.get("source_id") == source:
        return True
    given = operation.body.model_fields_set - {"id", "messages"}
    if all(live.get(name) == content.get(name) for name in given):
        return True
    raise AlreadyExists(f"the id {operation.record_id} is in use by a different record")


def create_project(operation: Operation, body: CreateProject, known: Known) -> Decision:
    """Decides `CreateProject`; ``parent`` must be an id by now."""
    content = content_of(body, "parent")
    content["parent_id"] = body.parent
    content["remotes"] = [*sorted(set(body.remotes))]
    if _exists_already(operation, known, content):
        return Decision()
    return Decision(drafts=(draft_of(operation, known, EventType.PROJECT_CREATED, content),))


def create_session(operation: Operation, body: CreateSession, known: Known) -> Decision:
    """Decides `CreateSession`: the session, then its messages from position 0."""
    content = content_of(body, "messages")
    content["tags"] = [*sorted(set(body.tags))]
    started_at = body.started_at or known.now
    content["started_at"] = started_at
    if body.parent_session_id is not None:
        live_record(Ref(Kind.SESSION, body.parent_session_id), known)
    if _exists_already(operation, known, content):
        stored = known.documents[Ref(Kind.SESSION, operation.record_id)]
        return _append(operation, body.messages, known, number(stored, "message_count"))
    created = draft_of(operation, known, EventType.SESSION_CREATED, content, at=started_at)
    appended = _append(operation, body.messages, known, 0)
    return Decision(
        drafts=(created, *appended.drafts),
        duplicates=appended.duplicates,
        differing=appended.differing,
    )


def append_messages(operation: Operation, body: AppendMessages, known: Known) -> Decision:
    """Decides `AppendMessages`: what is not there yet goes to the session's end."""
    session = live_record(Ref(Kind.SESSION, operation.record_id), known)
    return _append(operation, body.messages, known, number(session, "message_count"))


def _append(
    operation: Operation, messages: list[NewMessage], known: Known, position: int
) -> Decision:
    drafts: dict[str, EventDraft] = {}
    duplicates: list[str] = []
    differing: list[str] = []
    for message in messages:
        identity = str(message.id)
        stored = known.documents.get(Ref(Kind.MESSAGE, identity))
        if stored is not None and stored.get("session_id") != operation.record_id:
            raise AlreadyExists(f"the message id {identity} is in use in another session")
        if stored is not None or identity in drafts:
            duplicates.append(identity)
            if stored is not None and not _same_text(stored, message):
                differing.append(identity)
            continue
        content = content_of(message)
        content["session_id"] = operation.record_id
        content["position"] = position + len(drafts)
        drafts[identity] = EventDraft(
            type=EventType.MESSAGE_APPENDED,
            kind=Kind.MESSAGE,
            record_id=identity,
            parent_id=operation.record_id,
            occurred_at=str(message.created_at),
            content=content,
            redactions=known.redactions.get(identity, {}),
        )
    return Decision(
        drafts=tuple(drafts.values()), duplicates=tuple(duplicates), differing=tuple(differing)
    )


def _same_text(stored: Document, message: NewMessage) -> bool:
    return bool(stored.get("erased")) or stored.get("text") == message.text


def create_checkpoint(operation: Operation, body: CreateCheckpoint, known: Known) -> Decision:
    """Decides `CreateCheckpoint`; one of a PRIVATE session is PRIVATE too."""
    content = content_of(body)
    if body.session_id is not None:
        session = live_record(Ref(Kind.SESSION, body.session_id), known)
        if session.get("privacy_level") == Privacy.PRIVATE:
            content["privacy_level"] = Privacy.PRIVATE.value
    created_at = body.created_at or known.now
    content["created_at"] = created_at
    if _exists_already(operation, known, content):
        return Decision()
    draft = draft_of(
        operation,
        known,
        EventType.CHECKPOINT_CREATED,
        content,
        at=created_at,
        parent_id=body.session_id,
    )
    return Decision(drafts=(draft,))


def create_pattern(operation: Operation, body: CreatePattern, known: Known) -> Decision:
    """Decides `CreatePattern`."""
    content = content_of(body)
    content["tags"] = [*sorted(set(body.tags))]
    created_at = body.created_at or known.now
    content["created_at"] = created_at
    if body.source_session_id is not None:
        live_record(Ref(Kind.SESSION, body.source_session_id), known)
    if body.parent_pattern_id is not None:
        live_record(Ref(Kind.PATTERN, body.parent_pattern_id), known)
    if _exists_already(operation, known, content):
        return Decision()
    draft = draft_of(operation, known, EventType.PATTERN_CREATED, content, at=created_at)
    return Decision(drafts=(draft,))
