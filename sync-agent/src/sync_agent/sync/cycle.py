"""One cycle of synchronisation: pull, push, pull what came of it, put right what is not.

Pull comes first, so that erasures reach this replica before it says anything. What is pushed
leaves the overlay only when its effect has been pulled: a push never changes what is shown.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from memory_core.clock import now
from memory_core.errors import (
    ContextError,
    Corrupt,
    CursorExpired,
    EpochChanged,
    Forbidden,
    OperationsMissing,
    ReplicaForked,
)
from sync_agent.exchange import PulledPage
from sync_agent.replica import Limits, ProjectRow, Replica, remove_unfinished
from sync_agent.sync.bootstrap import begin
from sync_agent.sync.indexing import refresh_index
from sync_agent.sync.line import Line
from sync_agent.sync.locking import SyncBusy, sync_lock
from sync_agent.sync.pushing import push
from sync_agent.sync.rebuilding import rebuild
from sync_agent.sync.report import Report, State
from sync_agent.sync.watchdog import SyncStalled

if TYPE_CHECKING:
    from sync_agent.sync.transport import Transport

MAX_ROUNDS = 20
MAX_REPAIRS = 3
"""How often one cycle puts the same thing right before it gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to synchronise.

    ``name`` is the replica's name for people, ``agent`` the program that syncs. ``wait``: if
    nothing is to be pushed, wait up to so many seconds for news before the cycle. ``full``: read
    everything again, into a new file. A log longer than ``snapshot_above`` events is not read
    from its beginning but taken as a snapshot. What is over ``limits`` leaves the replica in the
    end, and stays at the hub. ``index`` is the replica's index, to be brought up as well.
    """

    name: str
    agent: str
    wait: int = 0
    paused: bool = False
    full: bool = False
    limits: Limits = field(default_factory=Limits)
    snapshot_above: int = 20_000
    index: Path | None = None


def sync_project(
    replica: Replica, project_id: str, transport: Transport, options: Options
) -> Report:
    """Runs one cycle and returns what it did. Nothing is raised: the report has the problem.

    Whatever ends it, what was pulled, pushed and written here stays as it is, and the next
    cycle goes on from there.
    """
    report = Report(project_id)
    began, before = time.monotonic(), transport.wire.copy()
    line = Line(replica, project_id, transport, options.name, options.agent, options.paused)
    cycle = _Cycle(line, options, report)
    try:
        # Waiting is no reason to keep others from syncing.
        if not options.wait or cycle.waited():
            with sync_lock(replica.path):
                remove_unfinished(replica.path)
                cycle.run()
        cycle.index()
    except SyncBusy as error:
        report.state, report.problem = State.BUSY, error
    except ContextError as error:
        report.state, report.problem = State.STOPPED, error
    report.wire = transport.wire.since(before)
    report.seconds = time.monotonic() - began
    return report


class _ActorChanged(Exception):
    """The hub takes the caller for somebody else than before, who may read other things."""


class _AnotherLog(Corrupt):
    """What the hub gives does not follow what it gave before, though the epoch is the same."""


class _Cycle:
    """The state of one cycle. All but waiting happens inside the lock."""

    def __init__(self, line: Line, options: Options, report: Report) -> None:
        self._line = line
        self._replica = line.replica
        self._project_id = line.project_id
        self._options = options
        self._report = report

    def waited(self) -> bool:
        """Waits for news, if nothing is to be pushed; returns whether there is work.

        Raises:
            ContextError: the hub did not say.
        """
        row = self._line.row()
        if row.epoch is None or self._line.standing().pending:
            return True
        try:
            page = self._line.ask(row, limit=1, wait=self._options.wait)
        except (EpochChanged, CursorExpired):
            return True
        quiet = page.up_to_date and not page.items
        if quiet:
            self._tell()
        return not quiet

    def run(self) -> None:
        """Goes round until both sides are level, or new work has come for `MAX_ROUNDS` rounds.

        Raises:
            SyncStalled: they are not level after `MAX_ROUNDS` rounds, and the last moved nothing.
            ContextError: what stopped the cycle.
        """
        try:
            if self._options.full:
                self._rebuild(EpochChanged())
            for _ in range(MAX_ROUNDS):
                self._report.rounds += 1
                pushed = self._report.pushed
                if self._round():
                    break
            else:
                # Whoever writes all the time, as an import does, is served by the next cycle.
                if self._report.pushed == pushed:
                    raise SyncStalled(f"hub and replica do not agree after {MAX_ROUNDS} rounds")
            self._tidy()
        finally:
            with suppress(ContextError):
                self._tell()

    def _round(self) -> bool:
        """Pulls, pushes and puts right; returns whether nothing is left to do."""
        try:
            return not push(self._line, self._report, self._pull())
        except (ReplicaForked, OperationsMissing, Forbidden) as error:
            # The hub refuses an identity that was another user's, and says so by naming it.
            if isinstance(error, Forbidden) and "replica_id" not in error.extra:
                raise
            self._count("forked", error)
            self._replica.renumber()
        except (EpochChanged, CursorExpired, _AnotherLog) as error:
            self._rebuild(error)
        except _ActorChanged:
            self._rebuild(EpochChanged("the hub takes this replica for somebody else's"))
        return False

    def _pull(self) -> int:
        """Reads the log to its end; returns the last operation that the hub holds of this replica.

        Raises:
            ReplicaForked: the hub holds operations under this identity that are not ours.
            EpochChanged, CursorExpired, _AnotherLog: the log cannot be read on from here.
            _ActorChanged: what was read before may not be what this caller may read.
        """
        row = self._line.row()
        first = self._first(row)
        try:
            page, known = self._line.pull(self._report, first)
        except Corrupt as error:
            # So it is where the hub's files were put back by other means than its own restore.
            raise _AnotherLog(error.detail) from error
        if not known:
            raise ReplicaForked
        acked = page.acked.number
        # A hub that was restored has forgotten what it had answered.
        if acked < row.confirmed and self._replica.reopen(self._project_id, after=acked):
            self._report.repaired.append("resent")
        return acked

    def _first(self, row: ProjectRow) -> PulledPage | None:
        if row.epoch is None:
            return begin(
                self._line,
                self._report,
                limits=self._options.limits,
                snapshot_above=self._options.snapshot_above,
            )
        page = self._line.ask(row)
        if page.actor != row.actor:
            raise _ActorChanged
        return page

    def _rebuild(self, error: ContextError) -> None:
        """Reads the log again from its beginning; the journal and what is shown stay."""
        self._count("rebuilt", error)
        rebuild(
            self._line,
            self._report,
            limits=self._options.limits,
            snapshot_above=self._options.snapshot_above,
        )

    def _count(self, what: str, error: ContextError) -> None:
        """Notes a repair; raises ``error`` where the same one was of no use too often."""
        if self._report.repaired.count(what) >= MAX_REPAIRS:
            raise error
        self._report.repaired.append(what)

    def index(self) -> None:
        """Brings the index up; what goes wrong there leaves the replica as it is."""
        if self._options.index is None:
            return
        try:
            refresh_index(self._replica, self._options.index, self._line.transport, self._report)
        except ContextError as error:
            self._report.index_problem = error

    def _tidy(self) -> None:
        """Lets go of what is over the limits, and of what the journal need not keep.

        Age counts back from the newest event, by the hub's clock: a clock that is wrong here, or
        a project that rested for long, empties no replica.
        """
        if self._report.newest is not None:
            gone = self._replica.evict(
                self._project_id, self._options.limits, at=self._report.newest
            )
            self._report.evicted = len(gone)
            # The earlier of two clocks: neither alone can let the journal forget too soon.
            self._replica.prune(at=min(now(), self._report.newest))

    def _tell(self) -> None:
        """Writes how things stand now into the report."""
        row, counts = self._line.row(), self._replica.counts(self._project_id)
        self._report.pending = counts.pending
        self._report.conflicts = counts.conflicts
        self._report.rejected = counts.rejected
        self._report.behind = max(0, row.head - row.cursor)
