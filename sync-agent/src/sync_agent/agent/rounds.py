"""One round of one replica: find its hub, attach it there, sync each project it holds.

The same for the agent and for `memctx sync`.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memory_core.errors import ContextError, Corrupt
from sync_agent.agent.linking import (
    Place,
    attach_new,
    caller_of,
    hub_for,
    link,
    options_for,
)

if TYPE_CHECKING:
    from memory_core.records import Document
    from sync_agent.channel import Retry
    from sync_agent.exchange import ProjectName
    from sync_agent.replica import ProjectRow, Replica
    from sync_agent.sync import Options, Renewed, Report, Transport

REFUSALS = frozenset(
    {
        "unauthorized", "forbidden", "upgrade_required", "hub_denied", "hub_changed", "folder_gone",
        "invalid_config", "insecure_url", "invalid_marker", "replica_too_new",
        "replica_read_only",
    }
)  # fmt: skip
"""What only the user, or an update, can mend: nothing is gained by trying again soon."""
ALERT_PENDING = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round came to. Without ``hub`` there was nobody to sync with."""

    hub: str | None = None
    reports: tuple[Report, ...] = ()
    problem: ContextError | None = None
    alerts: tuple[str, ...] = field(default=())

    @property
    def refused(self) -> bool:
        """Says whether only the user can mend what went wrong."""
        return self.problem is not None and self.problem.code in REFUSALS

    @property
    def retry_after(self) -> float:
        """The seconds that the hub asked to wait."""
        return max((report.retry_after or 0.0 for report in self.reports), default=0.0)

    @property
    def moved(self) -> bool:
        """Says whether anything was pulled or pushed."""
        return any(report.progressed for report in self.reports)

    @property
    def summary(self) -> str:
        """What was done, in one line."""
        if self.hub is None:
            return "no hub is named: what is written here stays here"
        pulled = sum(report.pulled for report in self.reports)
        pushed = sum(report.pushed for report in self.reports)
        return f"{pulled} events pulled, {pushed} operations pushed"

    def document(self) -> Document | None:
        """Returns what went wrong as JSON, None where nothing did."""
        if self.problem is None:
            return None
        return {"code": self.problem.code, "detail": self.problem.detail}


def sync_replica(
    place: Place, *, retry: Retry | None = None, full: bool = False, index: bool = False
) -> Outcome:
    """Syncs every project of a replica with its hub; raises nothing that can go wrong there.

    ``full`` reads everything again, ``index`` brings the index up too. A file that cannot be
    opened any more is set aside, and what was not pushed yet is carried over into a new one.
    """
    from memory_core.identity import identify  # noqa: PLC0415 - reads git's files

    config = None
    reports: dict[str, Report] = {}
    try:
        with open_or_renew(place) as replica:
            config = hub_for(replica, place.root)
            if config is None:
                return Outcome()
            with link(config, retry) as transport:
                attach_new(replica, transport, config.url, identify(place.root))
                _sync_all(replica, transport, options_for(place, full=full, index=index), reports)
    except ContextError as error:
        hub = None if config is None else str(config.url)
        return Outcome(hub, tuple(reports.values()), error)
    problem = next((report.problem for report in reports.values() if report.problem), None)
    alerts = [alert(slug, report.pending) for slug, report in reports.items()]
    told = tuple(text for text in alerts if text is not None)
    return Outcome(str(config.url), tuple(reports.values()), problem, told)


def _sync_all(
    replica: Replica, transport: Transport, options: Options, reports: dict[str, Report]
) -> None:
    """Adds the reports of all projects by slug, the own one first, up to the first problem.

    What the hub names as the team's own project is followed from then on, as long as it does.
    """
    from sync_agent.replica import NewProject  # noqa: PLC0415 - loads the rules of all records
    from sync_agent.sync import sync_project  # noqa: PLC0415

    rows = deque(replica.projects())
    named: ProjectName | None = None
    while rows:
        row = rows.popleft()
        if row.role == "shared" and (named is None or named.id != row.id):
            continue
        report = reports[row.slug] = sync_project(replica, row.id, transport, options)
        _note(replica, row, report.problem)
        if report.problem is not None:
            return
        named = report.shared or named
        if named is not None and named.id not in {row.id for row in replica.projects()}:
            new = NewProject(id=named.id, slug=named.slug, role="shared", actor=row.actor)
            replica.add_project(new)
            rows.append(replica.project(named.id))


def open_or_renew(place: Place) -> Replica:
    """Opens a replica; one that is damaged is first set aside and made anew.

    Raises:
        ContextError: as `Replica.open` and `renew`.
    """
    from sync_agent.replica import Replica  # noqa: PLC0415 - loads the rules of all records

    try:
        return Replica.open(place.path)
    except Corrupt:
        renew_replica(place)
        return Replica.open(place.path)


def renew_replica(place: Place) -> Renewed:
    """Sets a damaged file aside and makes a new one with all of its journal that can be read.

    Raises:
        ContextError: as `renew`.
    """
    from memory_core.identity import identify  # noqa: PLC0415 - reads git's files
    from sync_agent.agent.enrolling import new_project  # noqa: PLC0415
    from sync_agent.sync import renew  # noqa: PLC0415

    identity = identify(place.root)
    parent = identity.parent.slug if identity.parent else None
    return renew(place.path, new_project(identity, identity.slug, parent))


def tell_paused(place: Place) -> Outcome:
    """Tells the hub that a replica is paused; raises nothing that can go wrong there."""
    try:
        ask_for_news(place, 0)
    except ContextError as error:
        return Outcome(problem=error)
    return Outcome()


def ask_for_news(place: Place, wait: int) -> bool | None:
    """Waits at the hub until its log of the replica's own project is ahead of the replica.

    The hub is told how the replica stands, and whether it is paused. Returns False when nothing
    came within ``wait`` seconds, None where there is no hub to ask.

    Raises:
        ContextError: the hub could not be asked, or says that the replica must be made anew.
    """
    from sync_agent.channel import Retry  # noqa: PLC0415
    from sync_agent.exchange import PullRequest, Standing  # noqa: PLC0415
    from sync_agent.replica import Replica  # noqa: PLC0415

    with Replica.open(place.path) as replica:
        config = hub_for(replica, place.root)
        [row, *_] = replica.projects()
        caller = caller_of(replica, place)
        counts = replica.counts(row.id)
    if config is None or row.hub is None or row.epoch is None:
        return None
    request = PullRequest(
        epoch=row.epoch,
        after=row.cursor,
        confirmed=row.confirmed,
        limit=1,
        wait=wait,
        standing=Standing(counts.pending, counts.conflicts, counts.rejected, place.paused),
    )
    with link(config, Retry(budget=0.0)) as transport:
        page = transport.pull(row.id, caller, request)
    if page.epoch != row.epoch:
        return True
    with Replica.open(place.path) as replica:
        # What moved the log may have been pushed from here, and be pulled by now.
        return page.head > replica.project(row.id).cursor


def alert(project: str, pending: int) -> str | None:
    """Returns the alert about operations that pile up, None below 101 of them."""
    if pending <= ALERT_PENDING:
        return None
    return (
        f"{pending} operations of {project} wait for the hub, more than {ALERT_PENDING}:"
        " `memctx sync` says what keeps them"
    )


def _note(replica: Replica, row: ProjectRow, problem: ContextError | None) -> None:
    """Keeps what went wrong where `standing` finds it; a pull that goes well forgets it."""
    if problem is not None and problem.code != "sync_busy" and problem.detail != row.last_error:
        with suppress(ContextError):
            replica.note(row.id, error=problem.detail)
