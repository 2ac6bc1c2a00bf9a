"""Single events fetched anew where the log here differs from the hub's."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memory_core.records import Kind, Ref
from memory_core.sync.events import Pulled
from sync_agent.replica import projects
from sync_agent.replica.pulling import take, write_log
from sync_agent.replica.showing import refresh
from sync_agent.replica.working import WorkingRecords


def repair(connection: sqlite3.Connection, project_id: str, pulled: Sequence[Pulled]) -> list[Ref]:
    """Writes events of the log anew, and replays the records of which all events are given.

    A session's counters come from its messages, so a session is made anew only together with
    all of them. Returns the records that were.
    """
    project = projects.one(connection, project_id)
    items = sorted(pulled, key=lambda one: one.event.seq)
    write_log(connection, project_id, items)
    given = {one.event.seq for one in items}
    refs = {Ref(one.event.kind, one.event.record_id) for one in items}
    whole = {ref for ref in refs if _events_of(connection, project_id, ref) <= given}
    sessions = {ref.id for ref in whole if ref.kind is Kind.SESSION}
    # A message changes its session too; with the session it is replayed, alone it is not.
    whole = {ref for ref in whole if ref.kind is not Kind.MESSAGE or _root(items, ref) in sessions}
    records = WorkingRecords(connection, project_id, project.change_no)
    for ref in whole:
        records.clear(ref)
    for one in items:
        if Ref(one.event.kind, one.event.record_id) in whole:
            take(records, one, [])
    records.flush()
    refresh(records, project.actor, records.touched)
    projects.move(connection, project_id, change_no=records.change_no)
    return sorted(whole)


def _events_of(connection: sqlite3.Connection, project_id: str, ref: Ref) -> set[int]:
    """Returns the events that a record's document comes from."""
    rows = connection.execute(
        "SELECT seq FROM log WHERE project_id = ?1 AND (record_id = ?2 OR parent_id = ?2"
        " AND kind = 'message' AND ?3 = 'session')",
        (project_id, ref.id, ref.kind.value),
    )
    return {seq for (seq,) in rows}


def _root(items: Sequence[Pulled], ref: Ref) -> str | None:
    return next(one.event.parent_id for one in items if one.event.record_id == ref.id)
