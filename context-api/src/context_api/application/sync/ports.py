"""What sync keeps of each replica, and the ports it is kept behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from memory_core.records import Document, Kind

Outcome = Literal["accepted", "duplicate", "conflict", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What a replica says about itself with every request.

    ``confirmed`` is the last of its operations whose result it has stored; ``cursor_seq`` is how
    far it has applied the log, None where the request does not say.
    """

    id: str
    name: str = ""
    agent: str = ""
    protocol: int = 1
    confirmed: int = 0
    cursor_epoch: str | None = None
    cursor_seq: int | None = None
    pending: int = 0
    conflicts: int = 0
    rejected: int = 0
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A replica of one project as the hub knows it.

    ``last_number`` and ``last_hash`` are of the last of its operations that was carried out.
    """

    project_id: str
    id: str
    actor: str
    name: str
    agent: str
    protocol: int
    last_number: int
    last_hash: bytes | None
    confirmed: int
    cursor_epoch: str | None
    cursor_seq: int
    pending: int
    conflicts: int
    rejected: int
    paused: bool
    first_seen: str
    last_seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one operation of a replica came to; ``seq`` is where its effect is in the log."""

    number: int
    op_id: str
    hash: bytes
    outcome: Outcome
    seq: int
    head: int
    conflicts: tuple[str, ...] = ()
    problem: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A record whose content was erased, and where in the log that stands."""

    project_id: str
    seq: int
    record_id: str


class Place(NamedTuple):
    """Where a record stands in a list that is ordered by creation."""

    created_at: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which records of a project: up to ``limit``, after the last one that was given out.

    Only what was made up to ``seq`` of the log; sessions and checkpoints made at or after
    ``since``; messages and checkpoints of the sessions down to ``oldest``, newest first.
    """

    project_id: str
    seq: int
    limit: int
    since: str | None = None
    after: Place | None = None
    oldest: Place | None = None


class SnapshotReader(Protocol):
    """Reads a project's records as they are."""

    async def records(self, kind: Kind, part: Part) -> list[Document]:
        """Returns live records of one kind: sessions and patterns newest first, others by id."""

    async def lengths(self, kind: Kind, part: Part) -> list[int]:
        """Returns how many characters of texts and JSON each record of `records` has."""


class ReplicaReader(Protocol):
    """Reads what is kept of a tenant's replicas."""

    async def get(self, project_id: str, replica_id: str) -> Replica | None:
        """Returns a replica of a project."""

    async def actor_of(self, replica_id: str) -> str | None:
        """Returns whose replica it is, whatever the project."""

    async def results(
        self, project_id: str, replica_id: str, first: int, last: int
    ) -> Mapping[int, Result]:
        """Returns the results that are kept of operations ``first`` to ``last``."""

    async def of_projects(self, project_ids: Sequence[str] | None) -> list[Replica]:
        """Returns the replicas of some projects, or of all, the longest known first."""

    async def erasures(self, after: Mapping[str, int], limit: int) -> list[Erasure]:
        """Returns up to ``limit`` erasures after a position of each project's log."""


class ReplicaWriter(ReplicaReader, Protocol):
    """Keeps what replicas say, and what their operations came to."""

    async def greet(self, project_id: str, actor: str, said: Greeting, at: str) -> None:
        """Keeps what a replica says about itself; results it has stored are forgotten."""

    async def move_all(
        self, project_id: str, replica_id: str, actor: str, results: Sequence[Result]
    ) -> bool:
        """Takes operations as the replica's last ones, with their results.

        False, and nothing is written, unless they follow the last one and it is ``actor``'s.
        """

    async def restore(self, replica: Replica) -> None:
        """Takes over a replica of a backup, unless one that is here has come further."""
