"""A new identity: the journal's operations numbered from 1 again, under their own ids."""

from __future__ import annotations

import sqlite3

from sync_agent.replica import projects
from sync_agent.replica.journal import row_hash, wire_of
from sync_agent.replica.model import ProjectRow, State

_KEPT = (State.PENDING, State.PUSHED, State.SETTLED)


def renumber(connection: sqlite3.Connection) -> None:
    """Numbers the operations of every project 1, 2, 3 … in the order they had.

    Also those that are settled: a hub that never heard of this identity asks for all from 1,
    and answers ``duplicate`` to what it has. What was rejected must not be pushed again, and
    what was erased cannot be: they leave the sequence and get negative numbers.
    """
    for project in projects.every(connection):
        renumber_project(connection, project)


def renumber_project(connection: sqlite3.Connection, project: ProjectRow) -> None:
    """Numbers one project's operations; see `renumber`."""
    rows = connection.execute(
        "SELECT place, number, op_id, kind, record_id, type, base, body, at, hash, state"
        " FROM journal WHERE project_id = ? ORDER BY number",
        (project.id,),
    ).fetchall()
    # First out of the way: numbers are unique at every moment.
    connection.execute(
        "UPDATE journal SET number = -4611686018427387904 + place WHERE project_id = ?",
        (project.id,),
    )
    number = 0
    for place, old, op_id, kind, record_id, type_, base, body, at, hashed, state in rows:
        stays = old > 0 and body is not None and state in {kept.value for kept in _KEPT}
        number += stays
        fresh = number if stays else -place
        wire = wire_of((fresh, op_id, kind, record_id, type_, base, at, body))
        connection.execute(
            "UPDATE journal SET number = ?, row_hash = ? WHERE place = ?",
            (fresh, row_hash(project.id, fresh, wire, hashed), place),
        )
    projects.move(connection, project.id, last_number=number, confirmed=0)
