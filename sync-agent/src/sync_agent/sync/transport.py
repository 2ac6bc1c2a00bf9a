"""How a replica speaks with its hub: the port, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from memory_core.records import Document
from memory_core.sync.events import Pulled
from sync_agent.exchange import (
    Caller,
    PulledPage,
    PullRequest,
    PushAnswer,
    PushRequest,
    RangeDigests,
    SnapshotPage,
    SnapshotRequest,
)

if TYPE_CHECKING:
    from memory_core.sync.vectors import VectorBatch


@dataclass(slots=True)
class Wire:
    """What was exchanged so far: requests that were answered, and bytes of their bodies.

    Bytes are counted as they travelled, compressed; headers are not counted.
    """

    requests: int = 0
    sent: int = 0
    received: int = 0

    def add(self, sent: int, received: int) -> None:
        """Counts one request."""
        self.requests += 1
        self.sent += sent
        self.received += received

    def copy(self) -> Wire:
        """Returns the figures of this moment."""
        return Wire(self.requests, self.sent, self.received)

    def since(self, before: Wire) -> Wire:
        """Returns what was exchanged after ``before``."""
        return Wire(
            self.requests - before.requests,
            self.sent - before.sent,
            self.received - before.received,
        )


class Transport(Protocol):
    """Requests of a replica to one hub.

    Every method raises `memory_core.errors.ContextError`: what the hub answered, by its code
    (`ReplicaForked`, `OperationsMissing` with ``extra["expected"]``, `EpochChanged`,
    `CursorExpired`, `UpgradeRequired`, `Unauthorized`, `Forbidden` …), or that no answer came
    (`HubUnreachable`) or none that can be read (`BrokenAnswer`). A push whose answer was lost may
    have been carried out.
    """

    @property
    def wire(self) -> Wire:
        """What was exchanged so far."""
        ...

    def pull(self, project_id: str, caller: Caller, request: PullRequest) -> PulledPage:
        """Returns the next part of a project's log."""
        ...

    def push(self, project_id: str, caller: Caller, request: PushRequest) -> PushAnswer:
        """Sends operations and returns what became of each."""
        ...

    def snapshot(self, project_id: str, request: SnapshotRequest) -> SnapshotPage:
        """Returns a part of a project's records as they are."""
        ...

    def vectors(self, project_id: str, hashes: Sequence[str]) -> VectorBatch | None:
        """Returns the vectors of texts by their hashes (hex), those that there are.

        None: the hub has no model.
        """
        ...

    def digests(self, project_id: str, ranges: Sequence[tuple[int, int]]) -> RangeDigests:
        """Returns a digest for each range of the log; both ends belong to a range."""
        ...

    def events(self, project_id: str, seqs: Sequence[int]) -> list[Pulled]:
        """Returns single events of the log."""
        ...

    def attach(self, project: Document) -> Document:
        """Makes a project at the hub, or finds it there; returns its document."""
        ...
