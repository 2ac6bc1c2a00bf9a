"""One round of one replica: find its hub, attach it there, sync each project it holds.

The same for the agent and for `memctx sync`. Every way to a hub goes through `link`, and so
through the rules of `sync_agent.hubs`.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from memory_core.errors import Conflict, ContextError, Corrupt
from sync_agent.hubs import hub_of, names_of

if TYPE_CHECKING:
    from memory_core.records import Document
    from sync_agent.channel import Retry
    from sync_agent.config import ClientConfig
    from sync_agent.exchange import Caller
    from sync_agent.replica import ProjectRow, Replica
    from sync_agent.sync import HttpTransport, Options, Renewed, Report, Transport

REFUSALS = frozenset(
    {
        "unauthorized", "forbidden", "upgrade_required", "hub_denied", "hub_changed",
        "invalid_config", "insecure_url", "invalid_marker", "replica_too_new",
        "replica_read_only",
    }
)  # fmt: skip
"""What only the user, or an update, can mend: nothing is gained by trying again soon."""
ALERT_PENDING = 100


class HubChanged(Conflict):
    """This replica belongs to another hub than the one that is named now."""

    code = "hub_changed"


class Place(Protocol):
    """A replica to sync: its file, and the folder whose project it holds."""

    @property
    def path(self) -> Path: ...  # noqa: D102 - what it is stands above
    @property
    def root(self) -> Path: ...  # noqa: D102
    @property
    def paused(self) -> bool: ...  # noqa: D102


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


def sync_replica(place: Place, *, retry: Retry | None = None, full: bool = False) -> Outcome:
    """Syncs every project of a replica with its hub; raises nothing that can go wrong there.

    ``full`` reads everything again. A file that cannot be opened any more is set aside, and what
    was not pushed yet is carried over into a new one.
    """
    config = None
    reports: dict[str, Report] = {}
    try:
        with open_or_renew(place) as replica:
            config = hub_for(replica, place.root)
            if config is None:
                return Outcome()
            with link(config, retry) as transport:
                _attach_new(replica, transport, str(config.url))
                _sync_all(replica, transport, options_for(place, full=full), reports)
    except ContextError as error:
        hub = None if config is None else str(config.url)
        return Outcome(hub, tuple(reports.values()), error)
    problem = next((report.problem for report in reports.values() if report.problem), None)
    alerts = [alert(slug, report.pending) for slug, report in reports.items()]
    told = tuple(text for text in alerts if text is not None)
    return Outcome(str(config.url), tuple(reports.values()), problem, told)


def _attach_new(replica: Replica, transport: Transport, hub: str) -> None:
    from sync_agent.sync import attach  # noqa: PLC0415

    for row in replica.projects():
        if row.role == "own" and row.hub is None:
            attach(replica, row.id, transport, hub=hub)


def _sync_all(
    replica: Replica, transport: Transport, options: Options, reports: dict[str, Report]
) -> None:
    """Adds the reports of all projects by slug, the own one first, up to the first problem."""
    from sync_agent.sync import sync_project  # noqa: PLC0415

    for row in replica.projects():
        report = reports[row.slug] = sync_project(replica, row.id, transport, options)
        _note(replica, row, report.problem)
        if report.problem is not None:
            return


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


def hub_for(replica: Replica, root: Path) -> ClientConfig | None:
    """Returns how to reach the hub of a replica, None where none is named.

    Raises:
        HubDenied: a rule keeps one of its projects from that hub.
        HubChanged: the replica was synced with another hub.
        InvalidConfig: a file cannot be used, or a key is missing.
    """
    from memory_core.identity import identify  # noqa: PLC0415 - reads git's files

    names = names_of(identify(root))
    rows = [row for row in replica.projects() if row.role == "own"]
    for row in rows:
        names += [row.slug, *row.remotes]
    config = hub_of(root, list(dict.fromkeys(names)))
    if config is not None:
        _check_same(rows, str(config.url))
    return config


@contextmanager
def link(config: ClientConfig, retry: Retry | None = None) -> Iterator[HttpTransport]:
    """Yields a way to a hub that `hub_for` has allowed."""
    from sync_agent.channel import Channel  # noqa: PLC0415
    from sync_agent.sync import HttpTransport  # noqa: PLC0415

    transport = HttpTransport(
        Channel(config.url, config.api_key, retry=retry, ca_file=config.ca_file)
    )
    try:
        yield transport
    finally:
        transport.close()


def options_for(place: Place, *, full: bool = False) -> Options:
    """Returns how the engine is to sync a replica."""
    from sync_agent.sync import Options  # noqa: PLC0415

    return Options(name=_name(place), agent=program(), paused=place.paused, full=full)


def caller_of(replica: Replica, place: Place) -> Caller:
    """Returns who asks."""
    from sync_agent.exchange import Caller  # noqa: PLC0415

    return Caller(replica.replica_id, _name(place), program())


def alert(project: str, pending: int) -> str | None:
    """Returns the alert about operations that pile up, None below 101 of them."""
    if pending <= ALERT_PENDING:
        return None
    return (
        f"{pending} operations of {project} wait for the hub, more than {ALERT_PENDING}:"
        " `memctx sync` says what keeps them"
    )


def program() -> str:
    """Returns the name and version under which the hub shows this program."""
    try:
        return f"memctx/{version('memory-context')}"
    except PackageNotFoundError:
        return "memctx"


def _name(place: Place) -> str:
    """Returns what people call a replica: the machine and the folder's own name."""
    return f"{platform.node()[:60]}:{place.root.name[:60]}"


def _note(replica: Replica, row: ProjectRow, problem: ContextError | None) -> None:
    """Keeps what went wrong where `standing` finds it; a pull that goes well forgets it."""
    if problem is not None and problem.code != "sync_busy" and problem.detail != row.last_error:
        with suppress(ContextError):
            replica.note(row.id, error=problem.detail)


def _check_same(rows: Collection[ProjectRow], hub: str) -> None:
    for row in rows:
        if row.hub is not None and row.hub != hub:
            raise HubChanged(
                f"this replica is synced with {row.hub}, and {hub} is named now: name the first"
                " again, or make a new replica for the second"
            )
