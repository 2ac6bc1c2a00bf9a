"""How the work goes: what was written, how far the indexes are behind, which parts were missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from context_api.application.caching import CacheCounts
from context_api.application.indexes import Indexes, IndexStore
from context_api.application.ports import UnitOfWork, Viewer
from memory_core.clock import now, to_datetime
from memory_core.recall.ports import Progress
from memory_core.records import Document

LEXICAL, VECTOR = "lexical", "vector"
FRESH_S = 5.0
FULL_S = 60.0
"""Seconds after which projects are asked again that were complete and have not changed.

Only an index that is emptied falls behind without a new event.
"""
STALL_S = 60.0
"""Seconds without any progress after which work that waits counts as stalled.

Words follow a write within a second and a batch of vectors takes about one, so a minute of
nothing is no load but a fault.
"""

_NO_COUNTS: Mapping[str, CacheCounts] = {}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A project whose index is behind: the last position it has, and the chunks that wait."""

    reached: int
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far one index is behind the logs.

    ``oldest_s`` is the age of the oldest change that is not in it, 0.0 if there is none;
    ``last_success_at`` when it was last seen to process something, or to have nothing to do.
    """

    events: int
    oldest_s: float
    stalled: bool
    last_success_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where everything stood at one moment; ``at`` is of the monotonic clock."""

    at: float
    tenants: int
    projects: int
    events: int
    pending: int
    dead: int
    lag: Mapping[str, Lag]

    @property
    def stalled(self) -> list[str]:
        """The indexes for which work waits and none is done."""
        return [name for name, lag in self.lag.items() if lag.stalled]

    @property
    def oldest_s(self) -> float:
        """The age of the oldest change that some index does not have."""
        return max(lag.oldest_s for lag in self.lag.values())


@dataclass(slots=True)
class _Seen:
    """What waited for one index when it was last looked at, and since when nothing moves."""

    waiting: dict[str, Waiting] = field(default_factory=dict)
    still_since: float | None = None
    last_success_at: str = field(default_factory=now)

    def look(self, waiting: dict[str, Waiting], at: float) -> None:
        moved = not waiting or any(
            project not in waiting
            or waiting[project].reached > before.reached
            or waiting[project].pending < before.pending
            for project, before in self.waiting.items()
        )
        if moved:
            self.last_success_at = now()
        if moved or not self.waiting:
            self.still_since = at
        self.waiting = waiting

    def still_s(self, at: float) -> float:
        return 0.0 if self.still_since is None or not self.waiting else at - self.still_since


@dataclass(slots=True, kw_only=True)
class Measures:
    """The figures of one process. Progress is seen from outside, by comparing positions.

    An indexer that says of itself that it is well may have done nothing for weeks; what it
    has not indexed cannot be hidden. The same holds where the indexer is another process.
    """

    stall_s: float = STALL_S
    appends: int = 0
    appended_events: int = 0
    begun_again: int = 0
    caches: Mapping[str, CacheCounts] = field(default_factory=lambda: _NO_COUNTS)
    missing_parts: Callable[[], Iterable[str]] = field(default_factory=lambda: tuple)
    clock: Callable[[], float] = time.monotonic
    degraded_s: dict[str, float] = field(default_factory=dict)
    reading: Reading | None = None
    _seen: dict[str, _Seen] = field(
        default_factory=lambda: {name: _Seen() for name in (LEXICAL, VECTOR)}
    )
    _complete: dict[str, Progress] = field(default_factory=dict)
    _full_at: float | None = None
    _sampled_at: float | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def appended(self, events: int) -> None:
        """Counts a committed append."""
        if events:
            self.appends += 1
            self.appended_events += events

    async def read(
        self, uow: UnitOfWork, indexes: Indexes, *, max_age_s: float = FRESH_S
    ) -> Reading:
        """Returns where everything stands, at most ``max_age_s`` ago.

        Raises:
            ContextError: the database or an index does not answer.
        """
        async with self._lock:
            found = self.reading
            if found is None or self.clock() - found.at >= max_age_s:
                found = self.reading = await self._read(uow, indexes)
                self._sample({*indexes.degraded(), *self._stalled_parts(found)})
        return found

    def missed(self, part: str) -> None:
        """Notes that ``part`` kept the figures from being read."""
        self._sample({part})

    def _stalled_parts(self, found: Reading) -> Iterable[str]:
        return (f"{name}-indexing" for name in found.stalled)

    def _sample(self, parts: set[str]) -> None:
        """Adds the time since the last sample to every part that is degraded now."""
        at = self.clock()
        passed = 0.0 if self._sampled_at is None else at - self._sampled_at
        self._sampled_at = at
        for part in parts | set(self.missing_parts()):
            self.degraded_s[part] = self.degraded_s.get(part, 0.0) + passed

    async def _read(self, uow: UnitOfWork, indexes: Indexes) -> Reading:
        heads: dict[str, int] = {}
        progress: dict[str, Progress] = {}
        oldest: dict[str, str] = {}
        if self._full_at is None or self.clock() - self._full_at >= FULL_S:
            self._full_at = self.clock()
            self._complete.clear()
        tenants = await uow.tenants()
        for tenant_id in tenants:
            viewer = Viewer(tenant_id=tenant_id, actor="")
            async with uow.read(viewer) as tx:
                own = await tx.heads()
            found = await self._progress(indexes.of(tenant_id), own)
            heads |= own
            progress |= found
            waiting = {name: _waiting(name, own, found) for name in (LEXICAL, VECTOR)}
            if not any(waiting.values()):
                continue
            async with uow.read(viewer) as tx:
                for name, projects in waiting.items():
                    first = {project: one.reached + 1 for project, one in projects.items()}
                    recorded_at = await tx.oldest(first)
                    if recorded_at is not None:
                        oldest[name] = min(recorded_at, oldest.get(name, recorded_at))
        return self._compared(len(tenants), heads, progress, oldest, indexes)

    async def _progress(self, store: IndexStore, heads: dict[str, int]) -> dict[str, Progress]:
        """Returns how far each project is indexed; asks for those that may not be complete."""
        known = {
            project: done
            for project, head in heads.items()
            if (done := self._complete.get(project)) is not None and done.lexical_seq == head
        }
        asked = [project for project in heads if project not in known]
        found = await asyncio.to_thread(
            lambda: {project: store.progress(project) for project in asked}
        )
        for project, one in found.items():
            if one.lexical_seq == one.vector_seq == heads[project] and not one.pending:
                self._complete[project] = one
        return known | found

    def _compared(
        self,
        tenants: int,
        heads: dict[str, int],
        progress: dict[str, Progress],
        oldest: dict[str, str],
        indexes: Indexes,
    ) -> Reading:
        at = self.clock()
        lag: dict[str, Lag] = {}
        for name, seen in self._seen.items():
            waiting = _waiting(name, heads, progress)
            # Without a model vectors wait for it, which is another fault and shown as such.
            wanted = name != VECTOR or indexes.embedder is not None
            seen.look(waiting if wanted else {}, at)
            lag[name] = Lag(
                events=sum(heads[project] - one.reached for project, one in waiting.items()),
                oldest_s=_age_s(oldest.get(name)),
                stalled=seen.still_s(at) > self.stall_s,
                last_success_at=seen.last_success_at,
            )
        return Reading(
            at=at,
            tenants=tenants,
            projects=len(heads),
            events=sum(heads.values()),
            pending=sum(one.pending for one in progress.values()),
            dead=sum(one.dead for one in progress.values()),
            lag=lag,
        )


def report(reading: Reading) -> Document:
    """Returns a reading as health and status show it."""
    return {
        "ok": not reading.stalled,
        "lag_events": max(lag.events for lag in reading.lag.values()),
        "oldest_unprocessed_s": round(reading.oldest_s, 1),
        "last_success_at": min(lag.last_success_at for lag in reading.lag.values()),
        "pending": reading.pending,
        "dead": reading.dead,
        "stalled": [*reading.stalled],
        "indexes": {
            name: {
                "lag_events": lag.events,
                "oldest_unprocessed_s": round(lag.oldest_s, 1),
                "last_success_at": lag.last_success_at,
            }
            for name, lag in reading.lag.items()
        },
    }


def _waiting(
    name: str, heads: Mapping[str, int], progress: Mapping[str, Progress]
) -> dict[str, Waiting]:
    """Returns the projects for which an index is behind."""
    found: dict[str, Waiting] = {}
    for project, head in heads.items():
        one = progress[project]
        reached = one.lexical_seq if name == LEXICAL else min(one.lexical_seq, one.vector_seq)
        if reached < head:
            found[project] = Waiting(reached, 0 if name == LEXICAL else one.pending)
    return found


def _age_s(at: str | None) -> float:
    if at is None:
        return 0.0
    return max(0.0, (to_datetime(now()) - to_datetime(at)).total_seconds())
