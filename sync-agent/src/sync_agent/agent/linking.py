"""The way from a replica to its hub: which one it is, whether it may be, and who asks.

`hub_for` passes the rules of `sync_agent.hubs`, and nothing else leads to a transport.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from memory_core.errors import Conflict, Forbidden, ProjectNotFound, SlugTaken
from sync_agent.hubs import check_allowed, deny_rules, hub_of, names_of
from sync_agent.places import home_of

if TYPE_CHECKING:
    from memory_core.identity import ProjectIdentity
    from memory_core.records import Document
    from sync_agent.channel import Retry
    from sync_agent.config import ClientConfig
    from sync_agent.exchange import Caller
    from sync_agent.replica import ProjectRow, Replica
    from sync_agent.sync import HttpTransport, Options, Transport
    from sync_agent.url import HubUrl


class HubChanged(Conflict):
    """This replica belongs to another hub than the one that is named now."""

    code = "hub_changed"


class FolderGone(Conflict):
    """The folder of this replica's project is gone, and with it what says where it may go."""

    code = "folder_gone"


class Place(Protocol):
    """A replica to sync: its file, and the folder whose project it holds."""

    @property
    def path(self) -> Path: ...  # noqa: D102 - what it is stands above
    @property
    def root(self) -> Path: ...  # noqa: D102
    @property
    def paused(self) -> bool: ...  # noqa: D102


def hub_for(replica: Replica, root: Path) -> ClientConfig | None:
    """Returns how to reach the hub of a replica, None where none is named.

    The rules and markers of the folder that the replica lies in hold as well as those of
    ``root``, which may be a worktree of another branch.

    Raises:
        FolderGone: ``root`` is no folder, so nobody knows which rules would hold there.
        HubDenied: a rule keeps one of its projects from that hub.
        HubChanged: the replica was synced with another hub.
        InvalidConfig: a file cannot be used, or a key is missing.
    """
    from memory_core.identity import identify  # noqa: PLC0415 - reads git's files

    if not root.is_dir():
        raise FolderGone(
            f"the folder {root} of this replica's project is gone, so nothing was sent:"
            " run `memctx init` in a folder of the project that is there"
        )
    home = home_of(replica.path)
    names = names_of(identify(root))
    if home is not None:
        names += names_of(identify(home))
    rows = [row for row in replica.projects() if row.role == "own"]
    for row in rows:
        names += [row.slug, *row.remotes]
    names = list(dict.fromkeys(names))
    config = hub_of(root, names)
    if config is not None:
        check_allowed(config.url, names, deny_rules(home))
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


def options_for(place: Place, *, full: bool = False, index: bool = False) -> Options:
    """Returns how the engine is to sync a replica; ``index`` brings its index up too."""
    from sync_agent.places import index_of  # noqa: PLC0415
    from sync_agent.sync import Options  # noqa: PLC0415

    return Options(
        name=_name(place),
        agent=program(),
        paused=place.paused,
        full=full,
        index=index_of(place.path) if index else None,
    )


def caller_of(replica: Replica, place: Place) -> Caller:
    """Returns who asks."""
    from sync_agent.exchange import Caller  # noqa: PLC0415

    return Caller(replica.replica_id, _name(place), program())


def attach_new(
    replica: Replica, transport: Transport, url: HubUrl, identity: ProjectIdentity
) -> None:
    """Makes the replica's own project known to its hub, after those that it is a part of.

    Raises:
        ContextError: as `sync_agent.sync.attach`.
    """
    from sync_agent.sync import attach  # noqa: PLC0415

    for row in replica.projects():
        if row.role == "own" and row.hub is None:
            told = _make_known(transport, url, row.parent, identity.parent)
            attach(replica, row.id, transport, hub=str(url), with_parent=told)


def _make_known(
    transport: Transport, url: HubUrl, slug: str | None, identity: ProjectIdentity | None
) -> bool:
    """Makes a parent known with its remotes; False where a rule keeps it from that hub."""
    if identity is None or identity.slug != slug:
        return slug is None or not any(
            rule.denies(url, [slug]) for rule in deny_rules(identity.root if identity else None)
        )
    if any(rule.denies(url, names_of(identity)) for rule in deny_rules(identity.root)):
        return False
    above = identity.parent
    if above is not None and not _make_known(transport, url, above.slug, above):
        above = None
    body: Document = {
        "slug": identity.slug,
        "remotes": [*identity.remotes],
        "identity": identity.kind,
    }
    if above is not None:
        body["parent"] = above.slug
    # Another project has the name, or the key is for the child alone: `attach` says what then.
    with suppress(SlugTaken, ProjectNotFound, Forbidden):
        transport.attach(body)
    return True


def program() -> str:
    """Returns the name and version under which the hub shows this program."""
    try:
        return f"memctx/{version('memory-context')}"
    except PackageNotFoundError:
        return "memctx"


def _name(place: Place) -> str:
    """Returns what people call a replica: the machine and the folder's own name."""
    return f"{platform.node()[:60]}:{place.root.name[:60]}"


def _check_same(rows: Collection[ProjectRow], hub: str) -> None:
    for row in rows:
        if row.hub is not None and row.hub != hub:
            raise HubChanged(
                f"this replica is synced with {row.hub}, and {hub} is named now: name the first"
                " again, or make a new replica for the second"
            )
