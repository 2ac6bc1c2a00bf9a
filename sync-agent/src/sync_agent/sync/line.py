"""One replica's way to one project of the hub: asks page after page and applies them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_core.errors import EpochChanged
from sync_agent.errors import InvalidAnswer
from sync_agent.exchange import Caller, PulledPage, PullRequest, Standing

if TYPE_CHECKING:
    from sync_agent.replica import ProjectRow, Replica
    from sync_agent.sync.report import Report
    from sync_agent.sync.transport import Transport


@dataclass(frozen=True, slots=True)
class Line:
    """Who syncs which project over which transport."""

    replica: Replica
    project_id: str
    transport: Transport
    name: str
    agent: str
    paused: bool = False

    def row(self) -> ProjectRow:
        """Returns how far the project is synchronised."""
        return self.replica.project(self.project_id)

    def caller(self) -> Caller:
        """Returns who asks."""
        return Caller(self.replica.replica_id, self.name, self.agent)

    def standing(self) -> Standing:
        """Returns what the hub is told about this replica."""
        counts = self.replica.counts(self.project_id)
        return Standing(counts.pending, counts.conflicts, counts.rejected, self.paused)

    def ask(self, row: ProjectRow, *, limit: int | None = None, wait: int = 0) -> PulledPage:
        """Returns what follows the replica's cursor.

        Raises:
            EpochChanged: the hub speaks of another life of the log.
            ContextError: as `Transport.pull`.
        """
        request = PullRequest(
            epoch=row.epoch,
            after=row.cursor,
            confirmed=row.confirmed,
            limit=limit,
            wait=wait,
            standing=self.standing(),
        )
        page = self.transport.pull(self.project_id, self.caller(), request)
        if row.epoch is not None and page.epoch != row.epoch:
            raise EpochChanged
        if not page.items and not page.up_to_date:
            raise InvalidAnswer("the hub says that there is more of the log, and gives nothing")
        return page

    def pull(self, report: Report, first: PulledPage | None = None) -> tuple[PulledPage, bool]:
        """Applies the log up to where it ended when this began.

        ``first`` is the first page where it has been asked for already. Returns the last page,
        and whether the journal has the operations that the hub says to hold of it; if not, two
        replicas have one identity.

        Raises:
            ContextError: as `ask` and `Replica.apply_page`.
        """
        goal: int | None = None
        while True:
            page = first or self.ask(self.row())
            first = None
            goal = page.head if goal is None else goal
            applied = self.replica.apply_page(self.project_id, page)
            report.pulled += applied.events
            report.model, report.shared = page.model, page.shared
            if page.items:
                report.newest = page.items[-1].event.recorded_at
            if page.up_to_date or page.next_after >= goal or not applied.acked_known:
                return page, applied.acked_known
