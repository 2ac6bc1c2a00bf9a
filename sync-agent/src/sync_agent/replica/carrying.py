"""Journals that move: into a rebuilt file, to a project's other id, back to pending."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from memory_core.canonical import canonical_json
from memory_core.errors import AlreadyExists, Conflict
from memory_core.events import genesis
from sync_agent.replica import journal, projects
from sync_agent.replica.journal import row_hash, wire_of
from sync_agent.replica.model import JournalRow, State
from sync_agent.replica.records import Records, dumps
from sync_agent.replica.showing import refresh


def carry(connection: sqlite3.Connection, rows: Iterable[JournalRow]) -> int:
    """Takes over rows of another file's journal, under their numbers; returns how many.

    What the hub had answered but was not pulled is pending again: in this file nothing says how
    far its effect has come. Rows that are here, or of projects that are not, are left out.
    """
    held = {project.id: project for project in projects.every(connection)}
    taken = 0
    roots: dict[str, set[str]] = {}
    for row in sorted(rows, key=lambda row: row.number):
        if row.project_id not in held or journal.of_operation(connection, row.op_id) is not None:
            continue
        open_ = row.state in (State.PENDING, State.PUSHED) and row.wire is not None
        _insert(connection, row, open_=open_)
        if open_:
            roots.setdefault(row.project_id, set()).add(row.root)
        taken += 1
    for project in held.values():
        (last,) = connection.execute(
            "SELECT coalesce(max(number), 0) FROM journal WHERE project_id = ?", (project.id,)
        ).fetchone()
        projects.move(connection, project.id, last_number=max(last, project.last_number, 0))
        show(connection, project.id, roots.get(project.id, set()))
    return taken


def _insert(connection: sqlite3.Connection, row: JournalRow, *, open_: bool) -> None:
    state = State.PENDING if open_ else row.state
    body = None if row.wire is None else canonical_json(row.wire["body"]).decode()
    result = None if row.result is None or open_ else dumps(row.result)
    connection.execute(
        "INSERT INTO journal (project_id, number, op_id, kind, record_id, root, type, base, body,"
        " at, hash, row_hash, state, overlaid, outcome, seq, result, made_at, settled_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (row.project_id, row.number, row.op_id, row.kind.value, row.record_id, row.root, row.type,
         row.base, body, row.at, row.hash,
         row_hash(row.project_id, row.number, row.wire, row.hash), state.value, int(open_),
         None if open_ else row.outcome, None if open_ else row.seq, result, row.made_at,
         row.settled_at),
    )  # fmt: skip


def reopen(connection: sqlite3.Connection, project_id: str, after: int) -> int:
    """Makes settled operations above a number pending again; returns how many.

    For a hub that was restored from a backup and lacks them. Those whose events are in the log
    that was pulled are asked for again but not shown twice. Their results are not confirmed any
    more, else the hub would forget the new ones before they are stored.
    """
    confirmed = projects.one(connection, project_id).confirmed
    projects.move(connection, project_id, confirmed=min(confirmed, after))
    rows = connection.execute(
        "SELECT number, root, op_id IN (SELECT op_id FROM log WHERE project_id = ?1)"
        " FROM journal WHERE project_id = ?1 AND number > ?2 AND number > 0"
        " AND state IN ('settled', 'pushed') AND body IS NOT NULL",
        (project_id, after),
    ).fetchall()
    connection.executemany(
        "UPDATE journal SET state = 'pending', overlaid = ?, outcome = NULL, seq = NULL,"
        " settle_at = NULL, result = NULL, settled_at = NULL WHERE project_id = ? AND number = ?",
        [(not there, project_id, number) for number, _, there in rows],
    )
    show(connection, project_id, {root for _, root, _ in rows})
    return len(rows)


def rekey(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Gives a project that was never synchronised the id under which the hub knows it.

    Raises:
        Conflict: the project holds something of a hub's log already.
        AlreadyExists: the replica holds a project of that id.
    """
    project = projects.one(connection, old)
    if old == new:
        return
    if project.epoch is not None or project.cursor:
        raise Conflict(f"{project.slug} is synchronised already, under the id {old}")
    if any(each.id == new for each in projects.every(connection)):
        raise AlreadyExists(f"the replica holds the project {new} already")
    projects.move(connection, old, id=new, chain=genesis(new))
    connection.execute("UPDATE records SET project_id = ? WHERE project_id = ?", (new, old))
    connection.execute("UPDATE journal SET project_id = ? WHERE project_id = ?", (new, old))
    rows = connection.execute(
        "SELECT place, number, op_id, kind, record_id, type, base, at, body, hash FROM journal"
        " WHERE project_id = ?",
        (new,),
    ).fetchall()
    for place, number, op_id, kind, record_id, type_, base, at, body, hashed in rows:
        wire = wire_of((number, op_id, kind, record_id, type_, base, at, body))
        connection.execute(
            "UPDATE journal SET row_hash = ? WHERE place = ?",
            (row_hash(new, number, wire, hashed), place),
        )
    show(connection, new, None)


def show(connection: sqlite3.Connection, project_id: str, roots: Iterable[str] | None) -> None:
    """Shows roots anew, all of them for None."""
    project = projects.one(connection, project_id)
    records = Records(connection, project_id, project.change_no)
    if roots is None:
        found = connection.execute(
            "SELECT DISTINCT root FROM journal WHERE project_id = ? AND overlaid = 1"
            " UNION SELECT DISTINCT root FROM records WHERE project_id = ? AND view IS NOT NULL",
            (project_id, project_id),
        )
        roots = [root for (root,) in found]
    refresh(records, project.actor, roots)
    projects.move(connection, project_id, change_no=records.change_no)
