"""Events of a project's log and the digest chain that binds them.

The chain covers who, what and when together with the digest of the content; the content
itself lies beside it under a random salt. Erasing content and salt leaves the chain whole
and the digest without meaning.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pydantic import JsonValue

from memory_core.canonical import canonical_json, digest
from memory_core.errors import Corrupt
from memory_core.records import Document, Kind

SALT_BYTES = 16


class EventType(StrEnum):
    """What can happen to a record."""

    PROJECT_CREATED = "project.created"
    PROJECT_UPDATED = "project.updated"
    SESSION_CREATED = "session.created"
    SESSION_UPDATED = "session.updated"
    SESSION_DELETED = "session.deleted"
    SESSION_ERASED = "session.erased"
    MESSAGE_APPENDED = "message.appended"
    MESSAGE_DELETED = "message.deleted"
    MESSAGE_ERASED = "message.erased"
    CHECKPOINT_CREATED = "checkpoint.created"
    CHECKPOINT_DELETED = "checkpoint.deleted"
    CHECKPOINT_ERASED = "checkpoint.erased"
    PATTERN_CREATED = "pattern.created"
    PATTERN_UPDATED = "pattern.updated"
    PATTERN_OUTCOME_RECORDED = "pattern.outcome_recorded"
    PATTERN_DELETED = "pattern.deleted"
    PATTERN_ERASED = "pattern.erased"
    CONFLICT_OPENED = "conflict.opened"
    CONFLICT_RESOLVED = "conflict.resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft:
    """An event as decided, before the log gives it a place."""

    type: EventType
    kind: Kind
    record_id: str
    parent_id: str | None = None
    occurred_at: str
    content: Document
    redactions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of a project's log.

    ``content`` and ``salt`` are None once erased; ``digest`` chains to the entry before.
    ``occurred_at`` is the client's time and for display only; order is ``seq``.
    """

    project_id: str
    seq: int
    type: EventType
    kind: Kind
    record_id: str
    parent_id: str | None
    op_id: str
    op_index: int
    actor: str
    occurred_at: str
    recorded_at: str
    redactions: dict[str, int]
    content: Document | None
    salt: bytes | None
    content_digest: bytes
    digest: bytes


def genesis(project_id: str) -> bytes:
    """Returns the digest that stands before the first event of a project."""
    return digest(b"memory-context log", project_id.encode())


def content_digest(salt: bytes, content: Document) -> bytes:
    """Returns the salted digest of an event's content (32 bytes)."""
    return digest(salt, canonical_json(content))


def body_digest(event: Event) -> bytes:
    """Returns the digest of all that an event says but its place in the log (32 bytes)."""
    covered: list[JsonValue] = [
        event.project_id,
        event.type.value,
        event.kind.value,
        event.record_id,
        event.parent_id,
        event.op_id,
        event.op_index,
        event.actor,
        event.occurred_at,
        event.recorded_at,
        dict(event.redactions),
        event.content_digest.hex(),
    ]
    return digest(canonical_json(covered))


def chain_digest(previous: bytes, seq: int, body: bytes) -> bytes:
    """Returns SHA-256(previous | seq, 8 bytes big-endian | body): the link at ``seq``.

    The parts have fixed sizes, and every store can compute it next to its data.
    """
    return hashlib.sha256(previous + seq.to_bytes(8, "big") + body).digest()


def unsealed(
    drafts: Iterable[EventDraft],
    *,
    project_id: str,
    after_seq: int,
    op_id: str,
    actor: str,
    recorded_at: str,
) -> list[Event]:
    """Returns the drafts as events that follow ``after_seq``, not yet bound to what is before."""
    found: list[Event] = []
    for index, draft in enumerate(drafts):
        salt = os.urandom(SALT_BYTES)
        found.append(
            Event(
                project_id=project_id,
                seq=after_seq + 1 + index,
                type=draft.type,
                kind=draft.kind,
                record_id=draft.record_id,
                parent_id=draft.parent_id,
                op_id=op_id,
                op_index=index,
                actor=actor,
                occurred_at=draft.occurred_at,
                recorded_at=recorded_at,
                redactions=dict(draft.redactions),
                content=draft.content,
                salt=salt,
                content_digest=content_digest(salt, draft.content),
                digest=b"",
            )
        )
    return found


def seal(events: Iterable[Event], previous: bytes) -> list[Event]:
    """Returns events bound to the digest ``previous`` of what stands before them, in order."""
    sealed: list[Event] = []
    for event in events:
        previous = chain_digest(previous, event.seq, body_digest(event))
        sealed.append(replace(event, digest=previous))
    return sealed


def verify_event(previous: bytes, event: Event) -> None:
    """Checks one event against its own content and the entry before it.

    Raises:
        Corrupt: a column of the event was changed, or it does not follow ``previous``.
    """
    if event.content is not None:
        if event.salt is None or content_digest(event.salt, event.content) != event.content_digest:
            raise Corrupt(f"event {event.seq}: the content does not match its digest")
    elif event.salt is not None:
        raise Corrupt(f"event {event.seq}: the content is gone but its salt is not")
    if chain_digest(previous, event.seq, body_digest(event)) != event.digest:
        raise Corrupt(f"event {event.seq}: the chain of digests is broken")
