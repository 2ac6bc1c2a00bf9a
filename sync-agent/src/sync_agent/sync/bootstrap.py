"""The first contact of a replica with a project's log, or with another life of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_core.errors import EpochChanged
from sync_agent.exchange import PulledPage, SnapshotPage, SnapshotRequest

if TYPE_CHECKING:
    from sync_agent.replica import Limits
    from sync_agent.sync.line import Line
    from sync_agent.sync.report import Report


def begin(line: Line, report: Report, *, limits: Limits, snapshot_above: int) -> PulledPage | None:
    """Takes a snapshot where the log is long; returns the log's first page where it is not.

    A page that is returned has not been applied.

    Raises:
        ContextError: as `Line.ask` and `Transport.snapshot`.
    """
    row = line.row()
    page = line.ask(row)
    if page.head <= snapshot_above:
        return page
    # What an earlier try left may have been deleted since.
    line.replica.forget(line.project_id)
    at = _take(line, report, limits)
    line.replica.place(
        line.project_id, epoch=at.epoch, seq=at.seq, digest=at.digest, actor=page.actor
    )
    return None


def _take(line: Line, report: Report, limits: Limits) -> SnapshotPage:
    """Stores the records of a snapshot; returns its last page.

    Raises:
        EpochChanged: the log began another life in the middle of it.
    """
    cursor: str | None = None
    first: SnapshotPage | None = None
    while True:
        request = SnapshotRequest(
            max_sessions=limits.max_sessions,
            max_patterns=limits.max_patterns,
            cursor=cursor,
        )
        page = line.transport.snapshot(line.project_id, request)
        first = first or page
        if (page.epoch, page.seq, page.digest) != (first.epoch, first.seq, first.digest):
            raise EpochChanged("the parts of a snapshot are not of one moment")
        report.records += line.replica.put_records(line.project_id, page.items)
        cursor = page.next_cursor
        if cursor is None:
            return page
