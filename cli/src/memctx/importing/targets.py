"""Where an import goes: to the hub, into a replica, or nowhere when it is only tried."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from memctx.importing.outbox import Outbox
from memctx.importing.projects import ensure_project
from memctx.importing.report import Report, Tally
from memctx.importing.shape import Body
from memory_core.errors import Deleted, NotFound
from memory_core.identity import ProjectIdentity, identify, identify_remote
from memory_core.transcripts import SessionItem
from sync_agent.places import find_replica

if TYPE_CHECKING:
    from sync_agent.client import HubClient
    from sync_agent.local import LocalClient


class ProjectRef(NamedTuple):
    """A project: its key at the target, its slug, and what it is known by."""

    key: str
    slug: str
    identity: str


class Box(Protocol):
    """Takes one session."""

    @property
    def size(self) -> int:
        """Bytes that wait, about."""
        ...

    def message(self, body: Body) -> None:
        """Takes a message."""
        ...

    def checkpoint(self, body: Body) -> None:
        """Takes a checkpoint."""
        ...

    def flush(self) -> None:
        """Sends what waits."""
        ...

    def finish(self, derived: Body) -> None:
        """Sends the rest and what was derived."""
        ...


class Target(Protocol):
    """Finds the project of a session and opens a box for it."""

    def project(self, item: SessionItem, path: Path) -> ProjectRef | None:
        """Returns the project that a session of the transcript at ``path`` belongs to.

        None where the session belongs to a project that this target does not take.

        Raises:
            InvalidMarker: a marker file applies but cannot be used.
        """
        ...

    def box(self, session: Body, project: ProjectRef, report: Report) -> Box:
        """Returns where the session goes."""
        ...


def identity_of(item: SessionItem, path: Path) -> ProjectIdentity:
    """Returns the project of a session by the folder and the remote that its agent recorded.

    Without a recorded folder it is that of the transcript, which is weak too.
    """
    folder = Path(item.cwd) if item.cwd else path.absolute().parent
    remote = item.metadata.get("git_remote")
    if isinstance(remote, str) and remote and not folder.is_dir():
        return identify_remote(remote, folder)
    return identify(folder)


class HubTarget:
    """Sends to a hub. With ``named``, everything goes into that project."""

    def __init__(self, client: HubClient, named: ProjectRef | None = None) -> None:
        self._client = client
        self._named = named
        self._by_identity: dict[ProjectIdentity, ProjectRef] = {}
        self._by_session: dict[str, ProjectRef] = {}

    def project(self, item: SessionItem, path: Path) -> ProjectRef:
        """Returns the hub's project of a session; a subagent's is that of its parent."""
        found = self._of_parent(item) or self._named or self._of_identity(identity_of(item, path))
        self._by_session[item.id] = found
        return found

    def _of_parent(self, item: SessionItem) -> ProjectRef | None:
        if item.parent_id is None:
            return None
        if item.parent_id not in self._by_session:
            try:
                parent = self._client.sessions.get(item.parent_id)
            except (NotFound, Deleted):
                return None
            project = self._client.projects.get(parent["project_id"])
            ref = ProjectRef(project["id"], project["slug"], project["identity"])
            self._by_session[item.parent_id] = ref
        return self._by_session[item.parent_id]

    def _of_identity(self, identity: ProjectIdentity) -> ProjectRef:
        if identity not in self._by_identity:
            project = ensure_project(self._client, identity)
            ref = ProjectRef(project["id"], project["slug"], identity.kind)
            self._by_identity[identity] = ref
        return self._by_identity[identity]

    def box(self, session: Body, project: ProjectRef, report: Report) -> Box:
        """Returns an outbox to the hub."""
        tally = report.tally(project.key, project.slug, project.identity)
        return Outbox(self._client, session, project=project.key, tally=tally, report=report)


class ReplicaTarget:
    """Writes into a replica, which takes what belongs to its own project.

    With ``named``, everything goes into that project, which the replica holds.
    """

    def __init__(self, client: LocalClient, named: ProjectRef | None = None) -> None:
        self._client = client
        self._named = named
        own = client.own
        self._own = ProjectRef(own.id, own.slug, own.identity)
        self._is_own: dict[tuple[str, str], bool] = {}
        self._taken: set[str] = set()

    def project(self, item: SessionItem, path: Path) -> ProjectRef | None:
        """Returns the replica's project, None for sessions of others."""
        if self._named is not None:
            return self._named
        if item.parent_id in self._taken or self._belongs(item, path):
            self._taken.add(item.id)
            return self._own
        return None

    def _belongs(self, item: SessionItem, path: Path) -> bool:
        key = (item.cwd or str(path.parent), str(item.metadata.get("git_remote") or ""))
        if key not in self._is_own:
            folder = Path(item.cwd) if item.cwd else None
            # A folder inside the repository is of it, also one that is no longer there.
            here = folder is not None and find_replica(folder) == self._client.replica.path
            self._is_own[key] = here or self._is_of(identity_of(item, path))
        return self._is_own[key]

    def _is_of(self, identity: ProjectIdentity) -> bool:
        own = self._client.own
        if own.remotes or identity.remotes:
            return not {*own.remotes}.isdisjoint(identity.remotes)
        return identity.kind == own.identity and identity.slug == own.slug

    def box(self, session: Body, project: ProjectRef, report: Report) -> Box:
        """Returns an outbox to the replica."""
        tally = report.tally(project.key, project.slug, project.identity)
        return Outbox(self._client, session, project=project.key, tally=tally, report=report)


class DryTarget:
    """Counts what would be sent; no hub is asked."""

    def __init__(self, named: str | None = None) -> None:
        self._named = named
        self._by_session: dict[str, ProjectRef] = {}

    def project(self, item: SessionItem, path: Path) -> ProjectRef:
        """Returns the project by the identity alone."""
        found = self._by_session.get(item.parent_id or "")
        if found is None and self._named:
            found = ProjectRef(self._named, self._named, "name")
        if found is None:
            identity = identity_of(item, path)
            found = ProjectRef(identity.slug, identity.slug, identity.kind)
        self._by_session[item.id] = found
        return found

    def box(self, session: Body, project: ProjectRef, report: Report) -> Box:
        """Returns a counter."""
        return _Counter(report.tally(project.key, project.slug, project.identity))


class _Counter:
    size = 0

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._begun = False

    def message(self, body: Body) -> None:
        self._tally.messages += 1
        self._begin()

    def checkpoint(self, body: Body) -> None:
        self._tally.checkpoints += 1
        self._begin()

    def flush(self) -> None:
        """Has nothing to send."""

    def finish(self, derived: Body) -> None:
        """Has nothing to send."""

    def _begin(self) -> None:
        self._tally.sessions += not self._begun
        self._begun = True
