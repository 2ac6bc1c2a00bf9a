"""A project that begins its log again."""

from __future__ import annotations

import sqlite3

from memory_core.events import genesis
from sync_agent.replica import projects
from sync_agent.replica.model import State


def forget(connection: sqlite3.Connection, project_id: str) -> None:
    """Lets a project begin its log again; the journal and what is shown of it stay.

    What the hub had answered without its effect being pulled waits again: where its effect lies
    in another life of the log nobody knows.
    """
    project = projects.one(connection, project_id)
    connection.execute("DELETE FROM log WHERE project_id = ?", (project_id,))
    places = connection.execute(
        "SELECT place FROM records WHERE project_id = ? ORDER BY place", (project_id,)
    ).fetchall()
    connection.executemany(
        "UPDATE records SET base = NULL, base_hash = NULL, seq = 0, evicted = 0,"
        " deleted = view IS NULL, change_no = ? WHERE place = ?",
        [(project.change_no + 1 + index, place) for index, (place,) in enumerate(places)],
    )
    connection.execute(
        "UPDATE journal SET state = ?, overlaid = 1, outcome = NULL, seq = NULL,"
        " settle_at = NULL, result = NULL WHERE project_id = ? AND state = ?",
        (State.PENDING.value, project_id, State.PUSHED.value),
    )
    projects.move(
        connection, project_id, epoch=None, cursor=0, chain=genesis(project_id), floor=0, head=0,
        change_no=project.change_no + len(places),
    )  # fmt: skip
