"""Keeping a replica small: what was not used for long leaves it, and stays at the hub."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from memory_core.clock import from_datetime, to_datetime
from memory_core.records import Kind, Ref
from sync_agent.replica import projects
from sync_agent.replica.model import Limits
from sync_agent.replica.records import Records

_FREE = """
SELECT r.id, coalesce(r.used_at, '') FROM records r
WHERE r.project_id = ? AND r.kind = ? AND r.base IS NOT NULL AND r.deleted = 0 AND r.pinned = 0
    AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.root = r.id
        AND j.state IN ('pending', 'pushed'))
    AND NOT EXISTS (SELECT 1 FROM records k WHERE k.root = r.id
        AND (k.pinned = 1 OR k.view IS NOT NULL
            OR k.kind = 'conflict' AND json_extract(k.base, '$.resolution') IS NULL
                AND k.base IS NOT NULL))
ORDER BY 2, 1
"""
_HELD = """
SELECT count(*) FROM records WHERE project_id = ? AND kind = ? AND deleted = 0
    AND coalesce(view, base) IS NOT NULL
"""


def evict(connection: sqlite3.Connection, project_id: str, limits: Limits, now: str) -> list[Ref]:
    """Forgets what is over the limits, least recently used first; returns what.

    A session goes with its messages and checkpoints, and leaves a row without content. Age
    counts for sessions and for checkpoints of none; a pattern is worth keeping however old it
    is, up to their number. What is pending, in conflict or pinned stays.
    """
    project = projects.one(connection, project_id)
    records = Records(connection, project_id, project.change_no)
    oldest = from_datetime(to_datetime(now) - timedelta(days=limits.max_age_days))
    gone = _over(connection, project_id, Kind.SESSION, limits.max_sessions, oldest)
    for ref in gone:
        connection.execute(
            "DELETE FROM records WHERE root = ? AND kind IN ('message', 'checkpoint', 'conflict')",
            (ref.id,),
        )
    lone = [
        ref
        for ref in _over(connection, project_id, Kind.CHECKPOINT, None, oldest)
        if (held := records.held(ref)) is not None and held.parent is None
    ]
    gone += lone + _over(connection, project_id, Kind.PATTERN, limits.max_patterns, "")
    for ref in gone:
        records.evict(ref)
    projects.move(connection, project_id, change_no=records.change_no)
    return gone


def _over(
    connection: sqlite3.Connection, project_id: str, kind: Kind, most: int | None, oldest: str
) -> list[Ref]:
    free = connection.execute(_FREE, (project_id, kind.value)).fetchall()
    (held,) = connection.execute(_HELD, (project_id, kind.value)).fetchone()
    surplus = 0 if most is None else max(0, held - most)
    return [
        Ref(kind, identity)
        for index, (identity, used_at) in enumerate(free)
        if index < surplus or used_at < oldest
    ]
