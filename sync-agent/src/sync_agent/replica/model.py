"""What a replica is asked and what it answers, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from memory_core.records import Document, Kind, Ref

Role: TypeAlias = Literal["own", "shared", "followed"]


class State(StrEnum):
    """The life of an operation in the journal.

    PENDING: the hub's answer is not known. PUSHED: it is known, but what it did has not been
    pulled. SETTLED: it has. REJECTED: the hub refused it, and it is kept with the reason.
    DISCARDED: it was rejected, and the user let go of it.
    """

    PENDING = "pending"
    PUSHED = "pushed"
    SETTLED = "settled"
    REJECTED = "rejected"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    """A project that a replica is to hold. ``actor`` is who writes here until a hub says."""

    id: str
    slug: str
    remotes: Sequence[str] = ()
    identity: str = "name"
    parent: str | None = None
    role: Role = "own"
    hub: str | None = None
    actor: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRow:
    """A project in the replica and how far it is synchronised.

    ``chain`` is the digest of the log at ``cursor``; what lies before ``floor`` came as a
    snapshot. ``document`` is the project as the hub last showed it.
    """

    id: str
    slug: str
    role: Role
    hub: str | None
    remotes: tuple[str, ...]
    identity: str
    parent: str | None
    actor: str
    epoch: str | None
    cursor: int
    chain: bytes
    floor: int
    head: int
    document: Document | None
    change_no: int
    last_number: int
    confirmed: int
    last_sync_at: str | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """An operation of the journal.

    ``wire`` is the operation as it travels (`memory_core.sync.operations.to_wire`), None once
    its record was erased. ``number`` is negative once it has left the sequence that is pushed.
    ``overlaid`` says that reads still show it over what was pulled.
    """

    project_id: str
    number: int
    op_id: str
    kind: Kind
    record_id: str
    root: str
    type: str
    base: str | None
    wire: Document | None
    at: str
    hash: bytes
    state: State
    overlaid: bool
    outcome: str | None
    seq: int | None
    settle_at: int | None
    result: Document | None
    made_at: str
    settled_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write did.

    ``document`` is the record as it is shown now, None for one that is gone; ``replayed`` says
    that the operation was in the journal before; ``stored`` is False for EPHEMERAL content.
    """

    op_id: str
    number: int = 0
    document: Document | None = None
    created: bool = False
    replayed: bool = False
    stored: bool = True
    added: int = 0
    duplicates: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    redactions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What applying a page did.

    ``settled`` are the numbers whose operations left the overlay. ``acked_known`` is False when
    the hub speaks of an operation that this journal does not have, or has otherwise: then two
    replicas have one identity. ``leaves_remains``: text that was held here must go, from the
    journal or the records, and pieces of it may still lie in the file.
    """

    cursor: int
    events: int
    settled: tuple[int, ...]
    erased: tuple[Ref, ...]
    acked_known: bool
    leaves_remains: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of documents; ``next_cursor`` is None on the last one."""

    items: list[Document]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A record that changed; ``document`` is None if there is nothing to index any more.

    ``session`` is the session of a message.
    """

    change_no: int
    ref: Ref
    document: Document | None
    session: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many operations of a project are in which state, and conflicts that are open."""

    pending: int
    pushed: int
    rejected: int
    conflicts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a replica keeps of what the hub has; the least recently used goes first."""

    max_sessions: int = 1_000
    max_patterns: int = 500
    max_age_days: int = 30


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in the file that is not as it was written."""

    table: str
    key: str
    what: str
