"""The projects that a replica holds."""

from __future__ import annotations

import json
import sqlite3

from memory_core.errors import ProjectNotFound
from memory_core.events import genesis
from sync_agent.replica.model import NewProject, ProjectRow
from sync_agent.replica.records import loads

_COLUMNS = (
    "id, slug, role, hub, remotes, identity, parent, actor, epoch, cursor, chain, floor, head,"
    " doc, change_no, last_number, confirmed, last_sync_at, last_error"
)


def add(connection: sqlite3.Connection, project: NewProject) -> None:
    """Adds a project; one that is there keeps what it has."""
    connection.execute(
        "INSERT OR IGNORE INTO projects (id, slug, role, hub, remotes, identity, parent, actor,"
        " chain) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (project.id, project.slug, project.role, project.hub, json.dumps([*project.remotes]),
         project.identity, project.parent, project.actor, genesis(project.id)),
    )  # fmt: skip


def every(connection: sqlite3.Connection) -> list[ProjectRow]:
    """Returns all projects, the replica's own first."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM projects ORDER BY role <> 'own', slug, id"  # noqa: S608 (ours)
    )
    return [_row(row) for row in found]


def one(connection: sqlite3.Connection, project_id: str) -> ProjectRow:
    """Returns a project.

    Raises:
        ProjectNotFound: the replica does not hold it.
    """
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM projects WHERE id = ?",  # noqa: S608 (ours)
        (project_id,),
    ).fetchone()
    if row is None:
        raise ProjectNotFound(f"this replica does not hold the project {project_id!r}")
    return _row(row)


def move(
    connection: sqlite3.Connection, project_id: str, **values: str | int | bytes | None
) -> None:
    """Sets columns of a project."""
    names = ", ".join(f"{name} = ?" for name in values)
    connection.execute(
        f"UPDATE projects SET {names} WHERE id = ?",  # noqa: S608 (our own names)
        (*values.values(), project_id),
    )


def _row(row: tuple[object, ...]) -> ProjectRow:
    values = dict(zip(_COLUMNS.replace(" ", "").split(","), row, strict=True))
    document, remotes = values.pop("doc"), values.pop("remotes")
    return ProjectRow(
        document=None if document is None else loads(str(document)),
        remotes=tuple(json.loads(str(remotes))),
        **values,  # type: ignore[arg-type]
    )
