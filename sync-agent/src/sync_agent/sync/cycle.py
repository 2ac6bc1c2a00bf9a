"""One cycle of synchronisation: pull, push, pull what came of it, put right what is not.

Pull comes first, so that erasures reach this replica before it says anything. What is pushed
leaves the overlay only when its effect has been pulled: a push never changes what is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from memory_core.clock import now
from memory_core.errors import (
    ContextError,
    CursorExpired,
    EpochChanged,
    Forbidden,
    OperationsMissing,
    ReplicaForked,
)
from sync_agent.errors import InvalidAnswer, from_problem
from sync_agent.exchange import PulledPage, PushAnswer, PushRequest
from sync_agent.replica import Limits, ProjectRow, Replica
from sync_agent.replica import State as Journal
from sync_agent.sync.batches import batches
from sync_agent.sync.bootstrap import begin
from sync_agent.sync.indexing import refresh_index
from sync_agent.sync.line import Line
from sync_agent.sync.locking import SyncBusy, sync_lock
from sync_agent.sync.rebuilding import rebuild
from sync_agent.sync.report import Report, State
from sync_agent.sync.watchdog import SyncStalled

if TYPE_CHECKING:
    from memory_core.records import Document
    from sync_agent.sync.transport import Transport

MAX_ROUNDS = 20
MAX_REPAIRS = 3
"""How often one cycle puts the same thing right before it gives up."""

_ROWS = 500
_PUSHED = (Journal.PENDING, Journal.PUSHED, Journal.SETTLED)


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
        """Goes round until both sides are level.

        Raises:
            SyncStalled: they are not after `MAX_ROUNDS` rounds.
            ContextError: what stopped the cycle.
        """
        try:
            if self._options.full:
                self._rebuild(EpochChanged())
            for _ in range(MAX_ROUNDS):
                self._report.rounds += 1
                if self._round():
                    self._tidy()
                    return
            raise SyncStalled(f"hub and replica do not agree after {MAX_ROUNDS} rounds")
        finally:
            with suppress(ContextError):
                self._tell()

    def _round(self) -> bool:
        """Pulls, pushes and puts right; returns whether nothing is left to do."""
        try:
            return not self._push(self._pull())
        except (ReplicaForked, OperationsMissing, Forbidden) as error:
            # The hub refuses an identity that was another user's, and says so by naming it.
            if isinstance(error, Forbidden) and "replica_id" not in error.extra:
                raise
            self._count("forked", error)
            self._replica.renumber()
        except (EpochChanged, CursorExpired) as error:
            self._rebuild(error)
        except _ActorChanged:
            self._rebuild(EpochChanged("the hub takes this replica for somebody else's"))
        return False

    def _pull(self) -> int:
        """Reads the log to its end; returns the last operation that the hub holds of this replica.

        Raises:
            ReplicaForked: the hub holds operations under this identity that are not ours.
            EpochChanged, CursorExpired: the log cannot be read on from here.
            _ActorChanged: what was read before may not be what this caller may read.
        """
        row = self._line.row()
        page, known = self._line.pull(self._report, self._first(row))
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

    def _push(self, acked: int) -> bool:
        """Pushes what waited when this began; returns whether there was anything.

        Raises:
            ContextError: why the hub would not go on. The answers up to there are stored.
        """
        row = self._line.row()
        first = self._replica.journal(self._project_id, states=[Journal.PENDING], limit=1)
        if not first or first[0].number > row.last_number:
            return False
        waiting = self._waiting(min(acked + 1, first[0].number), row.last_number, acked)
        for batch in batches(waiting):
            request = PushRequest(
                epoch=row.epoch,
                confirmed=self._line.row().confirmed,
                operations=batch,
                standing=self._line.standing(),
            )
            answer = self._line.transport.push(self._project_id, self._line.caller(), request)
            self._take(batch, answer)
        return True

    def _take(self, batch: list[Document], answer: PushAnswer) -> None:
        """Stores the answers to a batch."""
        sent = {(operation["number"], operation["op_id"]) for operation in batch}
        if any((result.number, result.op_id) not in sent for result in answer.results):
            raise InvalidAnswer("the hub answers operations that were not pushed")
        self._replica.store_results(self._project_id, answer.results)
        self._report.pushed += len(answer.results)
        self._report.outcomes.update(result.outcome for result in answer.results)
        if answer.stopped is not None:
            status = answer.stopped.get("status")
            raise from_problem(status if isinstance(status, int) else 503, answer.stopped)
        if len(answer.results) != len(batch):
            raise InvalidAnswer("the hub left operations unanswered and does not say why")

    def _waiting(self, first: int, last: int, acked: int) -> Iterator[Document]:
        """Yields the operations that the hub lacks, or whose answers are lacking here, in order.

        Raises:
            OperationsMissing: one that the hub lacks is not to be pushed (any more), so that
                numbers would have a gap.
        """
        after = first - 1
        while rows := self._replica.journal(self._project_id, after=after, limit=_ROWS):
            for row in rows:
                if row.number > last:
                    return
                if row.number <= acked and row.state is not Journal.PENDING:
                    continue
                if row.wire is None or row.state not in _PUSHED:
                    raise OperationsMissing(expected=row.number)
                yield row.wire
            after = rows[-1].number

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
