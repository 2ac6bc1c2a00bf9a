"""Lists of records: sessions, messages, checkpoints, patterns, tags, conflicts."""

from __future__ import annotations

import sqlite3

from memory_core.records import Document, Kind, SessionStatus
from sync_agent.replica.model import Listing
from sync_agent.replica.reading import Where, field, listing, select, to_document, visible

_DOC = "coalesce(r.view, r.base)"
_TAGGED = f"EXISTS (SELECT 1 FROM json_each({_DOC}, '$.tags') t WHERE t.value = ?)"  # noqa: S608


def sessions(
    connection: sqlite3.Connection,
    *,
    project_id: str | None = None,
    status: str | None = None,
    tag: str | None = None,
    agent: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Listing:
    """Returns sessions, newest first; deleted ones if asked for by status."""
    if status == SessionStatus.DELETED.value:
        where = Where(
            f"r.kind = 'session' AND {_DOC} IS NOT NULL AND r.deleted = 1 AND r.owner = p.actor"
        )
    else:
        where = visible(Kind.SESSION)
        if status is not None:
            where.add(f"{field('status')} = ?", status)
    if tag is not None:
        where.add(_TAGGED, tag)
    if agent:
        where.add(f"{field('agent')} = ?", agent)
    _between(where, field("started_at"), since, until)
    return listing(connection, _of(where, project_id), limit, cursor)


def checkpoints(
    connection: sqlite3.Connection,
    *,
    project_id: str | None = None,
    session_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Listing:
    """Returns checkpoints, newest first."""
    where = visible(Kind.CHECKPOINT)
    if session_id is not None:
        where.add("r.parent = ?", session_id)
    _between(where, "r.created_at", since, until)
    return listing(connection, _of(where, project_id), limit, cursor)


def patterns(
    connection: sqlite3.Connection,
    *,
    project_id: str | None = None,
    type: str | None = None,  # noqa: A002 (the hub's name of it)
    tag: str | None = None,
    category: str | None = None,
    deprecated: bool | None = None,
    q: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Listing:
    """Returns patterns, newest first; ``q`` is a part of the name, in any case."""
    where = visible(Kind.PATTERN)
    if type is not None:
        where.add(f"{field('pattern_type')} = ?", type)
    if tag is not None:
        where.add(_TAGGED, tag)
    if category:
        where.add(f"{field('category')} = ?", category)
    if deprecated is not None:
        where.add(f"{field('deprecated')} = ?", deprecated)
    if q:
        where.add(f"instr(lower({field('name')}), lower(?)) > 0", q)
    return listing(connection, _of(where, project_id), limit, cursor)


def messages(
    connection: sqlite3.Connection, session_id: str, *, after: int = -1, limit: int = 100
) -> list[Document]:
    """Returns a session's messages after a position, in order."""
    where = visible(Kind.MESSAGE)
    where.add("r.root = ? AND r.position > ?", session_id, after)
    rows = select(connection, where, "ORDER BY r.position LIMIT ?", limit)
    return [to_document(row) for row in rows]


def tags(connection: sqlite3.Connection, *, project_id: str | None = None) -> list[Document]:
    """Returns tags in use with how many sessions and patterns carry them."""
    counts: dict[str, dict[str, int]] = {}
    for kind in (Kind.SESSION, Kind.PATTERN):
        where = _of(visible(kind), project_id)
        rows = connection.execute(
            "SELECT t.value, count(*) FROM records r JOIN projects p ON p.id = r.project_id,"  # noqa: S608 (ours)
            f" json_each({_DOC}, '$.tags') t WHERE {where} GROUP BY t.value",
            where.values,
        )
        for tag, uses in rows:
            counts.setdefault(tag, {"sessions": 0, "patterns": 0})[f"{kind.value}s"] = uses
    return [{"tag": tag, **counts[tag]} for tag in sorted(counts)]


def conflicts(connection: sqlite3.Connection, *, project_id: str | None = None) -> list[Document]:
    """Returns open conflicts, newest first."""
    where = _of(visible(Kind.CONFLICT), project_id)
    where.add(f"{field('resolution')} IS NULL")
    # Only who may read a record may read the values that are in conflict about it.
    where.add(
        "NOT EXISTS (SELECT 1 FROM records a WHERE a.id = r.parent AND a.privacy = 'PRIVATE'"
        " AND a.owner <> p.actor)"
    )
    return [
        to_document(row) for row in select(connection, where, "ORDER BY r.created_at DESC, r.id")
    ]


def _between(where: Where, at: str, since: str | None, until: str | None) -> None:
    if since is not None:
        where.add(f"{at} >= ?", since)
    if until is not None:
        where.add(f"{at} < ?", until)


def _of(where: Where, project_id: str | None) -> Where:
    if project_id is not None:
        where.add("r.project_id = ?", project_id)
    return where
