"""Gives a folder its replica, and hands it to the agent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memory_core.errors import InvalidId
from memory_core.identity import ProjectIdentity, identify, validate_slug
from memory_core.ids import parse_uuid, uuid7
from sync_agent.agent.folder import AgentFolder
from sync_agent.agent.registry import Registry
from sync_agent.errors import LocalFailure
from sync_agent.places import IGNORE, find_replica, home_of, place_of
from sync_agent.replica import NewProject, Replica


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A folder's replica; ``new`` says that it was made now."""

    path: Path
    root: Path
    project: str
    new: bool


def enrol(
    folder: AgentFolder,
    root: Path,
    *,
    user: bool = False,
    slug: str | None = None,
    parent: str | None = None,
) -> Enrolled:
    """Makes the replica of the project in ``root`` unless it is there, and registers it.

    ``user`` puts it into the user's own folder. ``slug`` and ``parent`` are the project's name
    and the one it is a part of, where the folder alone does not say them right.

    Raises:
        InvalidSlug: no project can have that name.
        ReplicaReadOnly: the folder cannot be written.
        InvalidMarker: its marker file cannot be used.
    """
    identity = identify(root)
    path = find_replica(root)
    if path is not None:
        with Replica.open(path) as replica:
            project = next((r.slug for r in replica.projects() if r.role == "own"), identity.slug)
    else:
        path, project = place_of(identity, root, user=user), identity.slug
        if slug is not None:
            project = validate_slug(slug)
        above = identity.parent.slug if identity.parent else None
        _make(path, identity, project, validate_slug(parent) if parent is not None else above)
    registry = Registry(folder.registry)
    where = _root(registry, path, identity, identity.root or root)
    registered = registry.add(path, project, root=where)
    return Enrolled(path, where, project, registered)


def _root(registry: Registry, path: Path, identity: ProjectIdentity, wanted: Path) -> Path:
    """Returns the folder to register: ``wanted``, unless the replica is another project's."""
    known = next((entry.root for entry in registry.entries() if entry.path == path), None)
    if known is None or not known.is_dir():
        known = home_of(path) or wanted
    held = identify(known)
    same = (held.slug, held.project_id) == (identity.slug, identity.project_id)
    return wanted if same else known


def _make(path: Path, identity: ProjectIdentity, slug: str, parent: str | None) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = path.with_name(IGNORE)
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise LocalFailure(f"{path.parent}: {error.strerror}") from error
    Replica.create(path, new_project(identity, slug, parent)).close()


def new_project(identity: ProjectIdentity, slug: str, parent: str | None) -> NewProject:
    """Returns what a new replica is to hold."""
    return NewProject(
        id=_project_id(identity),
        slug=slug,
        remotes=identity.remotes,
        identity=identity.kind,
        parent=parent,
    )


def _project_id(identity: ProjectIdentity) -> str:
    try:
        return parse_uuid(identity.project_id or "")
    except InvalidId:
        return uuid7()
