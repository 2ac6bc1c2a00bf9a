"""Notices a sync that runs and moves nothing."""

from __future__ import annotations

from dataclasses import dataclass

from memory_core.errors import Unavailable
from sync_agent.sync.report import Report, State

PATIENCE = 2
"""Cycles without progress after which work that waits counts as stalled."""


class SyncStalled(Unavailable):
    """Operations wait to be pushed and none has moved for several cycles."""

    code = "sync_stalled"


@dataclass(frozen=True, slots=True)
class Watch:
    """How many cycles in a row left operations waiting and had an answer to none.

    Whether they ended with a problem makes no difference: a line that lets pulls through and no
    answer to a push looks alive, and so does a hub that answers and does not go on.
    """

    idle: int = 0

    def after(self, report: Report) -> Watch:
        """Returns the watch after one more cycle."""
        if report.state is State.BUSY:
            return self
        stuck = report.pending > 0 and not report.outcomes
        return Watch(self.idle + 1 if stuck else 0)

    def problem(self, report: Report) -> SyncStalled | None:
        """Returns the alarm to raise, None while all is well."""
        if self.idle < PATIENCE:
            return None
        cause = f"; the last cycle ended with: {report.problem.detail}" if report.problem else ""
        return SyncStalled(
            f"{report.pending} operations wait and none has moved for {self.idle} cycles{cause}"
        )
