"""The work on indexes that several workers share: who does which project, and what is to do.

Work is found by comparing states, never by consuming messages: a project whose progress lies
behind its head, or with a chunk that has no vector, is work. A worker claims a project for a
while; what it writes afterwards is refused once another one has taken the project over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from memory_core.errors import Conflict
from memory_core.records import Ref


class LeaseLost(Conflict):
    """Another worker has taken the project over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A project that a worker has for itself, until the lease ends or another one takes it.

    ``fence`` grows with every claim of the project; only the newest may write.
    """

    tenant_id: str
    project_id: str
    worker_id: str
    fence: int


class WaitingChunk(NamedTuple):
    """A chunk without a vector: the hash of its text, and the record that it was cut from."""

    content_hash: str
    ref: Ref


class Leases(Protocol):
    """Who works on which project. Synchronous: called from threads."""

    def claim(self, worker_id: str) -> Claim | None:
        """Claims a project with work that nobody else has; None if there is none.

        What this worker has not given back, it gets again.
        """

    def renew(self, claim: Claim) -> None:
        """Prolongs a claim.

        Raises:
            LeaseLost: it ended, and another worker has the project.
        """

    def release(self, claim: Claim, *, succeeded: bool) -> None:
        """Gives a claim back; harmless if it is lost."""


class VectorWork(Protocol):
    """What the holder of a claim does about vectors. Synchronous: called from threads.

    Every method that writes raises `LeaseLost` if another worker has taken the project over.
    """

    def prepare(self, claim: Claim) -> None:
        """Begins the generation of the model in use if there is none, and tries dead ones again."""

    def waiting(self, claim: Claim, limit: int) -> list[WaitingChunk]:
        """Returns chunks that wait for a vector of the model in use, each text once."""

    def put_vectors(self, claim: Claim, vectors: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        """Stores vectors of the model in use by content hash."""

    def mark_dead(self, claim: Claim, chunk: WaitingChunk, reason: str) -> None:
        """Gives up on a text that cannot be embedded, until it is tried again."""

    def finish(self, claim: Claim) -> bool:
        """Switches to the generation of the model in use if it is complete; says if it did.

        Generations that no worker has used for a day are dropped.
        """

    def purge(self, tenant_id: str) -> int:
        """Deletes vectors of a tenant that nothing needs; returns how many texts'."""


class VectorPush(Protocol):
    """Keeps a vector server in step with what is stored. Synchronous: called from threads."""

    def push(self, claim: Claim) -> bool:
        """Sends the next vectors and deletions; says if there were any.

        Raises:
            Unavailable, Corrupt: as the server's port does; what was not sent is sent later.
            LeaseLost: another worker has taken the project over.
        """

    def audit(self, claim: Claim) -> int:
        """Compares what the server holds with what is stored, by hash, and mends the difference.

        Some vectors are asked for too: what is held is not always found. Does nothing if that
        was done not long ago. Returns how many vectors were wrong. Raises as `push` does.
        """

    def probe(self) -> bool:
        """Says if the server answers rightly, as far as that is known."""
