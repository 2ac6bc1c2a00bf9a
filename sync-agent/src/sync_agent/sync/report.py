"""What one cycle did, for people, programs and the next cycle."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from memory_core.errors import ContextError
from sync_agent.exchange import ModelName, ProjectName
from sync_agent.sync.transport import Wire

if TYPE_CHECKING:
    from memory_core.records import Document


class State(StrEnum):
    """How a cycle ended."""

    SYNCED = "synced"
    """All that was known at its start is on both sides."""
    BUSY = "busy"
    """Another process is at it."""
    STOPPED = "stopped"
    """It ended early; ``problem`` says why. What was done is kept."""


@dataclass(slots=True)
class Report:
    """One cycle of one project.

    ``pulled`` counts events, ``records`` what came as a snapshot, ``outcomes`` the answers to
    operations. ``behind`` is how many events
    of the hub are not here yet. ``repaired`` names what had to be put right on the way
    (``forked``, ``resent``, ``rebuilt``). ``index_problem`` kept the index, not the replica, from
    being as new as the hub. ``vectors`` came and
    ``waiting`` texts have none yet. ``newest`` is the time of the last event that was
    pulled. ``model`` and ``shared`` are what the hub said of its vectors and of the team's own
    project.
    """

    project_id: str
    state: State = State.SYNCED
    pulled: int = 0
    records: int = 0
    pushed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    evicted: int = 0
    indexed: int = 0
    vectors: int = 0
    waiting: int = 0
    newest: str | None = None
    pending: int = 0
    conflicts: int = 0
    rejected: int = 0
    behind: int = 0
    rounds: int = 0
    repaired: list[str] = field(default_factory=list)
    wire: Wire = field(default_factory=Wire)
    seconds: float = 0.0
    problem: ContextError | None = None
    index_problem: ContextError | None = None
    model: ModelName | None = None
    shared: ProjectName | None = None

    @property
    def retry_after(self) -> float | None:
        """Seconds that the hub asked to wait, None if it did not."""
        value = self.problem.extra.get("retry_after") if self.problem is not None else None
        return float(value) if isinstance(value, int | float) else None

    @property
    def progressed(self) -> bool:
        """Says whether anything moved in either direction."""
        return bool(self.pulled or self.records or self.outcomes)

    def document(self) -> Document:
        """Returns the report as JSON."""
        return {
            "project_id": self.project_id,
            "state": self.state.value,
            "pulled": self.pulled,
            "records": self.records,
            "pushed": self.pushed,
            "outcomes": {name: self.outcomes[name] for name in sorted(self.outcomes)},
            "evicted": self.evicted,
            "indexed": self.indexed,
            "vectors": self.vectors,
            "pending": self.pending,
            "conflicts": self.conflicts,
            "rejected": self.rejected,
            "behind": self.behind,
            "rounds": self.rounds,
            "repaired": [*self.repaired],
            "requests": self.wire.requests,
            "bytes_sent": self.wire.sent,
            "bytes_received": self.wire.received,
            "seconds": round(self.seconds, 3),
            "problem": _shown(self.problem),
            "index_problem": _shown(self.index_problem),
        }


def _shown(problem: ContextError | None) -> Document | None:
    return None if problem is None else {"code": problem.code, "detail": problem.detail}
