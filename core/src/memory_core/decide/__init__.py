"""Decisions: from an operation and what is known to the events that carry it out.

Pure: no clock, no store. The hub decides inside its transaction; a replica decides the same
way to show its pending operations over what it has pulled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from memory_core.decide.changes import record_outcome, update
from memory_core.decide.creation import (
    append_messages,
    create_checkpoint,
    create_pattern,
    create_project,
    create_session,
)
from memory_core.decide.known import Decision, Known
from memory_core.decide.removal import delete, erase
from memory_core.decide.resolution import resolve_conflict
from memory_core.ids import derive_id
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateProject,
    CreateSession,
    Delete,
    Erase,
    Operation,
    RecordOutcome,
    ResolveConflict,
    UpdatePattern,
    UpdateProject,
    UpdateSession,
)
from memory_core.records import Kind, Ref

__all__ = ["Decision", "Known", "complete", "decide", "refs"]

_DECIDERS: Mapping[type, Callable[[Operation, Any, Known], Decision]] = {
    CreateProject: create_project,
    UpdateProject: update,
    CreateSession: create_session,
    UpdateSession: update,
    AppendMessages: append_messages,
    CreateCheckpoint: create_checkpoint,
    CreatePattern: create_pattern,
    UpdatePattern: update,
    RecordOutcome: record_outcome,
    Delete: delete,
    Erase: erase,
    ResolveConflict: resolve_conflict,
}


def decide(operation: Operation, known: Known) -> Decision:
    """Returns the events that carry out ``operation``.

    Raises:
        NotFound: a record it names is not there, or belongs to another project or owner.
        AlreadyExists: it creates a record whose id is in use by a different one.
        Deleted: the record has been deleted.
        InvalidInput: the change is not allowed.
    """
    return _DECIDERS[type(operation.body)](operation, operation.body, known)


def refs(operation: Operation) -> set[Ref]:
    """Returns the records that a decision on ``operation`` needs to see."""
    needed = {Ref(operation.kind, operation.record_id)}
    body = operation.body
    if isinstance(body, CreateSession | AppendMessages):
        needed |= {Ref(Kind.MESSAGE, message.id) for message in body.messages if message.id}
    if isinstance(body, CreateSession) and body.parent_session_id:
        needed.add(Ref(Kind.SESSION, body.parent_session_id))
    if isinstance(body, CreateCheckpoint) and body.session_id:
        needed.add(Ref(Kind.SESSION, body.session_id))
    if isinstance(body, CreatePattern) and body.source_session_id:
        needed.add(Ref(Kind.SESSION, body.source_session_id))
    if isinstance(body, CreatePattern) and body.parent_pattern_id:
        needed.add(Ref(Kind.PATTERN, body.parent_pattern_id))
    if isinstance(body, ResolveConflict):
        needed.add(Ref(body.record_kind, body.record_id))
    return needed


def complete(operation: Operation, now: str) -> Operation:
    """Returns ``operation`` with an id and a time on every message that came without.

    The ids derive from the operation's id, so that repeating it names the same messages.
    """
    body = operation.body
    if not isinstance(body, CreateSession | AppendMessages) or all(
        message.id and message.created_at for message in body.messages
    ):
        return operation
    started = body.started_at if isinstance(body, CreateSession) else None
    messages = []
    for index, message in enumerate(body.messages):
        at = message.created_at or started or now
        identity = message.id or derive_id(at, "message of operation", operation.op_id, str(index))
        messages.append(message.model_copy(update={"id": identity, "created_at": at}))
    return Operation(
        op_id=operation.op_id,
        kind=operation.kind,
        record_id=operation.record_id,
        base=operation.base,
        body=body.model_copy(update={"messages": messages}),
    )
