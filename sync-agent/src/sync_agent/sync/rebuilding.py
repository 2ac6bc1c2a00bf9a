"""A project's log read again from its beginning, in a new file beside the one in use.

Until the one rename at the end the old file answers reads and takes writes; what is written
meanwhile is carried over with the rest of the journal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sync_agent.replica import copy_beside, swap
from sync_agent.sync.bootstrap import begin

if TYPE_CHECKING:
    from sync_agent.replica import Limits
    from sync_agent.sync.line import Line
    from sync_agent.sync.report import Report


def rebuild(line: Line, report: Report, *, limits: Limits, snapshot_above: int) -> None:
    """Rebuilds the project of ``line`` and puts the new file in the place of the old one.

    Operations that the new life of the log does not have wait again.

    Raises:
        ContextError: the hub or the disk does not allow it now; the old file stays in use.
    """
    with copy_beside(line.replica.path) as fresh:
        fresh.forget(line.project_id)
        beside = replace(line, replica=fresh)
        first = begin(beside, report, limits=limits, snapshot_above=snapshot_above)
        page, known = beside.pull(report, first)
        fresh.reopen(line.project_id, after=page.acked.number if known else 0)
        swap(line.replica.path, fresh)
