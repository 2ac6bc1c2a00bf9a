"""What a replica and the hub exchange, as values: requests, pages and answers.

The replica applies pages and stores results, the sync engine asks for them; neither needs to
know how they travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from memory_core.records import Document, Kind
from memory_core.sync.events import Pulled

Outcome: TypeAlias = Literal["accepted", "duplicate", "conflict", "rejected"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who syncs: the replica's identity, its name for people, and the program."""

    id: str
    name: str
    agent: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How the replica stands with a project, for the hub to show."""

    pending: int = 0
    conflicts: int = 0
    rejected: int = 0
    paused: bool = False


class Acked(NamedTuple):
    """The last operation of a replica that the hub holds: its number and `operation_hash`.

    Number 0 and no hash: the hub holds none.
    """

    number: int
    hash: bytes | None


class ModelName(NamedTuple):
    """The embedding model that the hub's vectors are of."""

    name: str
    dimension: int


class ProjectName(NamedTuple):
    """A project that another one refers to."""

    id: str
    slug: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """Asks for the events after ``after``, waiting up to ``wait`` seconds for the first of them.

    ``epoch`` is that of the log which ``after`` counts in, None before the first pull.
    ``confirmed``: the results of all operations up to this number are stored here.
    """

    epoch: str | None
    after: int
    confirmed: int = 0
    limit: int | None = None
    wait: int = 0
    standing: Standing = Standing()


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledPage:
    """The part of a project's log that follows ``after``, all of it read at one moment of the hub.

    ``items`` end at ``next_after``, whose chain digest is ``digest``. ``floor`` is the first
    position from which the log can still be read. ``project`` is the project's document as
    the caller sees it, ``actor`` is who the hub takes the caller for, ``shared`` the team's own
    project.
    """

    after: int
    epoch: str
    head: int
    project: Document
    actor: str
    items: Sequence[Pulled]
    next_after: int
    up_to_date: bool
    acked: Acked
    digest: bytes
    floor: int = 0
    model: ModelName | None = None
    shared: ProjectName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """Operations as they travel (`memory_core.sync.operations.to_wire`), in order of number."""

    epoch: str | None
    confirmed: int
    operations: Sequence[Document]
    standing: Standing = Standing()


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """What became of one operation.

    ``seq`` is that of its last event, if it has one; once the replica has read the log up to
    ``head`` it has read every effect. ``conflicts`` are the ids of the conflicts it opened,
    ``problem`` says why it was rejected.
    """

    number: int
    op_id: str
    outcome: Outcome
    seq: int | None
    head: int
    conflicts: Sequence[str] = ()
    problem: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushAnswer:
    """What became of a push; ``stopped`` says why the rest was not carried out now."""

    epoch: str
    head: int
    acked: Acked
    expected: int
    results: Sequence[PushResult]
    stopped: Document | None = None


class SnapshotItem(NamedTuple):
    """One record as it is now."""

    kind: Kind
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequest:
    """Asks for the records as they are: newest first, at most so many, made after ``since``."""

    max_sessions: int | None = None
    max_patterns: int | None = None
    since: str | None = None
    cursor: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPage:
    """Records of a project. With the events after ``seq`` they are the whole.

    A document may be newer than ``seq``; ``digest`` is the chain digest at ``seq``.
    """

    epoch: str
    seq: int
    digest: bytes
    items: Sequence[SnapshotItem]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeDigests:
    """One digest (`memory_core.sync.ranges`) for each range that was asked for."""

    epoch: str
    head: int
    digests: Sequence[bytes]
