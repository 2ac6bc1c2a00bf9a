"""Reads with the hub's filters and order: what it would list, a replica lists too."""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from memory_core.clock import parse_time
from memory_core.errors import ContextError, Deleted, InvalidCursor, NotFound
from memory_core.ids import parse_uuid
from memory_core.recall.ports import RecordFilter
from memory_core.records import RECALLED_KINDS, Document, Kind, Ref
from sync_agent.errors import NotHeld
from sync_agent.replica.model import Change, Listing
from sync_agent.replica.records import loads

_IN_CHUNK = 500
_DOC = "coalesce(r.view, r.base)"
_FROM = "FROM records r JOIN projects p ON p.id = r.project_id"
_COLUMNS = f"SELECT r.kind, r.id, {_DOC}, p.slug"
_READABLE = "{r}.deleted = 0 AND ({r}.privacy IS NOT 'PRIVATE' OR {r}.owner = p.actor)"
_OWN = _READABLE.format(r="r")
_IN_SESSION = (
    "EXISTS (SELECT 1 FROM records s WHERE s.id = r.parent AND s.kind = 'session'"  # noqa: S608
    f" AND {_READABLE.format(r='s')})"
)
_VISIBLE = {
    Kind.PROJECT: "r.deleted = 0",
    Kind.SESSION: _OWN,
    Kind.PATTERN: _OWN,
    Kind.MESSAGE: f"r.deleted = 0 AND {_IN_SESSION}",
    Kind.CHECKPOINT: f"{_OWN} AND (r.parent IS NULL OR {_IN_SESSION})",
    Kind.CONFLICT: "r.deleted = 0",
}


def field(name: str) -> str:
    """Returns the SQL of one field of what is shown."""
    return f"json_extract({_DOC}, '$.{name}')"


class Where:
    """Conditions with their values, in order."""

    def __init__(self, condition: str, *values: Any) -> None:
        self._conditions = [condition]
        self.values: list[Any] = [*values]

    def add(self, condition: str, *values: Any) -> None:
        """Narrows by one more condition."""
        self._conditions.append(condition)
        self.values += values

    def __str__(self) -> str:
        return " AND ".join(f"({condition})" for condition in self._conditions)


def select(connection: sqlite3.Connection, where: Where, rest: str = "", *more: Any) -> list[Any]:
    """Returns (kind, id, document as text, slug) of the rows that a condition chooses."""
    return connection.execute(
        f"{_COLUMNS} {_FROM} WHERE {where} {rest}", (*where.values, *more)
    ).fetchall()


def to_document(row: Sequence[Any]) -> Document:
    """Returns a row as the hub would show it; pending work is marked."""
    document = loads(row[2])
    document["project"] = row[3]
    if row[0] == Kind.SESSION.value:
        # How often contexts took from a session is counted at the hub alone.
        document.setdefault("access_count", 0)
        document.setdefault("last_accessed", None)
    return document


def visible(kind: Kind) -> Where:
    """Returns the condition that a record of ``kind`` exists for the user."""
    return Where(f"r.kind = ? AND {_DOC} IS NOT NULL AND {_VISIBLE[kind]}", kind.value)


def get(connection: sqlite3.Connection, kind: Kind, record_id: str) -> Document:
    """Returns one record.

    Raises:
        NotFound: there is none here; NotHeld if the hub has it.
        Deleted: it has been deleted.
    """
    where = visible(kind)
    where.add("r.id = ?", record_id)
    found = select(connection, where)
    if found:
        return to_document(found[0])
    row = connection.execute(
        f"SELECT r.evicted, {field('deleted')}, r.parent {_FROM} WHERE r.id = ? AND r.kind = ?",
        (record_id, kind.value),
    ).fetchone()
    if row is not None and row[0]:
        raise NotHeld(f"only the hub still has the {kind.value} {record_id}")
    if row is not None and row[1]:
        raise Deleted(f"the {kind.value} {record_id} has been deleted")
    if row is not None and row[2] and kind in (Kind.MESSAGE, Kind.CHECKPOINT):
        get(connection, Kind.SESSION, row[2])
    raise NotFound(f"there is no {kind.value} {record_id}")


def load(
    connection: sqlite3.Connection, refs: Sequence[Ref], chosen: RecordFilter
) -> dict[Ref, Document]:
    """Returns the documents of those ``refs`` that are visible and pass the filter."""
    found: dict[Ref, Document] = {}
    by_kind: dict[Kind, list[str]] = {}
    for ref in refs:
        if not chosen.kinds or ref.kind.value in chosen.kinds:
            by_kind.setdefault(ref.kind, []).append(ref.id)
    for kind, ids in by_kind.items():
        for start in range(0, len(ids), _IN_CHUNK):
            chunk = ids[start : start + _IN_CHUNK]
            where = _passing(kind, chosen)
            where.add(f"r.id IN ({', '.join('?' * len(chunk))})", *chunk)
            for row in select(connection, where):
                found[Ref(kind, row[1])] = to_document(row)
    return found


def _passing(kind: Kind, chosen: RecordFilter) -> Where:
    where = visible(kind)
    at = field("started_at") if kind is Kind.SESSION else "r.created_at"
    if chosen.since is not None:
        where.add(f"{at} >= ?", chosen.since)
    if chosen.until is not None:
        where.add(f"{at} < ?", chosen.until)
    if chosen.as_of is not None:
        where.add(f"{field('created_seq')} <= ?", chosen.as_of)
    if kind is Kind.PATTERN:
        where.add(f"NOT {field('deprecated')}")
    elif chosen.without_session is not None:
        own = "r.id" if kind is Kind.SESSION else "r.parent"
        where.add(f"{own} IS NOT ?", chosen.without_session)
    if chosen.tags:
        _add_tags(where, kind, sorted(chosen.tags), every=chosen.all_tags)
    return where


def _add_tags(where: Where, kind: Kind, tags: list[str], *, every: bool) -> None:
    """A message or checkpoint has the tags of its session."""
    marks = ", ".join("?" * len(tags))
    if kind in (Kind.SESSION, Kind.PATTERN):
        source = f"json_each({_DOC}, '$.tags') t WHERE t.value IN ({marks})"
    else:
        source = (
            "records o, json_each(coalesce(o.view, o.base), '$.tags') t WHERE o.id = r.parent"
            f" AND o.kind = 'session' AND t.value IN ({marks})"
        )
    where.add(f"(SELECT count(*) FROM {source}) >= ?", *tags, len(tags) if every else 1)  # noqa: S608


def listing(
    connection: sqlite3.Connection, where: Where, limit: int, cursor: str | None
) -> Listing:
    """Returns a page of records, newest first.

    Raises:
        InvalidCursor: the cursor is not one that an earlier page gave.
    """
    if cursor is not None:
        where.add("(r.created_at, r.id) < (?, ?)", *_decoded(cursor))
    rows = select(connection, where, "ORDER BY r.created_at DESC, r.id DESC LIMIT ?", limit + 1)
    items = [to_document(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return Listing(items)
    last = json.dumps([items[-1]["created_at"], items[-1]["id"]])
    return Listing(items, base64.urlsafe_b64encode(last.encode()).decode())


def _decoded(cursor: str) -> tuple[str, str]:
    try:
        created_at, identity = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return parse_time(created_at), parse_uuid(identity)
    except (ValueError, TypeError, binascii.Error, ContextError, AttributeError) as error:
        raise InvalidCursor from error


def changes(
    connection: sqlite3.Connection, project_id: str, after: int, limit: int
) -> list[Change]:
    """Returns what changed after a change number, in the order of those numbers."""
    rows = connection.execute(
        "SELECT change_no, kind, id FROM records WHERE project_id = ? AND change_no > ?"
        " ORDER BY change_no LIMIT ?",
        (project_id, after, limit),
    ).fetchall()
    return [_change(connection, number, Ref(Kind(kind), id_)) for number, kind, id_ in rows]


def _change(connection: sqlite3.Connection, number: int, ref: Ref) -> Change:
    document = _indexed(connection, ref) if ref.kind in RECALLED_KINDS else None
    session = None
    parent = None if document is None else document.get("session_id")
    if isinstance(parent, str) and ref.kind in (Kind.MESSAGE, Kind.CHECKPOINT):
        session = _indexed(connection, Ref(Kind.SESSION, parent))
        if session is None:
            document = None
    of_message = session if ref.kind is Kind.MESSAGE else None
    return Change(change_no=number, ref=ref, document=document, session=of_message)


def _indexed(connection: sqlite3.Connection, ref: Ref) -> Document | None:
    row = connection.execute(
        f"{_COLUMNS} {_FROM} WHERE r.id = ? AND r.kind = ? AND r.deleted = 0 AND {_DOC} NOT NULL",
        (ref.id, ref.kind.value),
    ).fetchone()
    return None if row is None else to_document(row)
