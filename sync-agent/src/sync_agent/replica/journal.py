"""The journal: a replica's own operations, numbered in the order they were made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from memory_core.canonical import canonical_json, digest
from memory_core.clock import from_datetime, to_datetime
from memory_core.errors import Conflict, NotFound
from memory_core.operations import Operation
from memory_core.records import Document, Kind
from memory_core.sync.operations import Entry, body_from_json, operation_hash, to_wire
from sync_agent.exchange import PushResult
from sync_agent.replica.model import Counts, JournalRow, State
from sync_agent.replica.records import dumps, loads

_COLUMNS = (
    "project_id, number, op_id, kind, record_id, root, type, base, body, at, hash, state,"
    " overlaid, outcome, seq, settle_at, result, made_at, settled_at"
)
KEEP_DAYS = 30
"""Days for which what is settled is kept: a hub restored from a backup gets it again."""


def row_hash(project_id: str, number: int, wire: Document | None, hashed: bytes) -> bytes:
    """Returns the digest over what a row of the journal says (32 bytes)."""
    return digest(canonical_json([project_id, number, wire]), hashed)


def add(
    connection: sqlite3.Connection, project_id: str, entry: Entry, *, root: str, made_at: str
) -> None:
    """Appends a pending operation."""
    wire = to_wire(entry)
    hashed = operation_hash(wire)
    connection.execute(
        "INSERT INTO journal (project_id, number, op_id, kind, record_id, root, type, base, body,"
        " at, hash, row_hash, state, overlaid, made_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)",
        (project_id, entry.number, wire["op_id"], wire["kind"], wire["record_id"], root,
         wire["type"], wire["base"], canonical_json(wire["body"]).decode(), entry.at, hashed,
         row_hash(project_id, entry.number, wire, hashed), State.PENDING.value, made_at),
    )  # fmt: skip


def rows(
    connection: sqlite3.Connection,
    project_id: str,
    *,
    states: Iterable[State] = (),
    after: int = 0,
    limit: int = -1,
) -> list[JournalRow]:
    """Returns rows in order of their numbers, those above ``after``."""
    wanted = [state.value for state in states]
    among = f" AND state IN ({', '.join('?' * len(wanted))})" if wanted else ""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM journal WHERE project_id = ? AND number > ?{among}"  # noqa: S608
        " ORDER BY number LIMIT ?",
        (project_id, after, *wanted, limit),
    )
    return [_row(row) for row in found]


def of_operation(connection: sqlite3.Connection, op_id: str) -> JournalRow | None:
    """Returns the row of an operation."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM journal WHERE op_id = ?", (op_id,)).fetchone()  # noqa: S608
    return None if row is None else _row(row)


def overlaid(connection: sqlite3.Connection, project_id: str, roots: Sequence[str]) -> list[Entry]:
    """Returns the operations on these roots that are still shown over what was pulled."""
    found = []
    for root in roots:
        found += connection.execute(
            f"SELECT {_COLUMNS} FROM journal WHERE root = ? AND overlaid = 1 AND project_id = ?",  # noqa: S608
            (root, project_id),
        ).fetchall()
    entries = [entry_of(_row(row)) for row in found]
    return sorted(entries, key=lambda entry: entry.number)


def entry_of(row: JournalRow) -> Entry:
    """Returns the operation of a row.

    Raises:
        Conflict: its content was erased.
    """
    if row.wire is None:
        raise Conflict(f"operation {row.op_id} was erased with its record")
    return Entry(
        number=row.number,
        at=row.at,
        operation=Operation(
            op_id=row.op_id,
            kind=row.kind,
            record_id=row.record_id,
            base=row.base,
            body=body_from_json(row.type, row.wire["body"]),
        ),
    )


def counts(connection: sqlite3.Connection, project_id: str) -> Counts:
    """Returns how many operations are in which state."""
    by_state = dict(
        connection.execute(
            "SELECT state, count(*) FROM journal WHERE project_id = ? GROUP BY state", (project_id,)
        ).fetchall()
    )
    (conflicts,) = connection.execute(
        "SELECT count(*) FROM records WHERE project_id = ? AND kind = 'conflict'"
        " AND coalesce(view, base) IS NOT NULL"
        " AND json_extract(coalesce(view, base), '$.resolution') IS NULL",
        (project_id,),
    ).fetchone()
    return Counts(
        pending=by_state.get(State.PENDING.value, 0),
        pushed=by_state.get(State.PUSHED.value, 0),
        rejected=by_state.get(State.REJECTED.value, 0),
        conflicts=conflicts,
    )


def store_result(connection: sqlite3.Connection, project_id: str, result: PushResult) -> None:
    """Keeps the hub's answer. What is shown stays as it is until the effect is pulled.

    What was wiped because its record was erased elsewhere ends as rejected, with that reason,
    whatever the hub says to the deletion that took its number: its author is told.

    Raises:
        Conflict: the number belongs to another operation.
    """
    row = connection.execute(
        "SELECT op_id, state, result FROM journal WHERE project_id = ? AND number = ?",
        (project_id, result.number),
    ).fetchone()
    if row is None or row[0] != result.op_id:
        raise Conflict(f"operation {result.number} is not {result.op_id} in this journal")
    if row[1] != State.PENDING.value:
        return
    lost = None if row[2] is None else loads(row[2]).get("problem")
    kept: Document = {
        "head": result.head,
        "conflicts": [*result.conflicts],
        "problem": lost or result.problem,
    }
    outcome = "rejected" if lost else result.outcome
    # The last event of an operation that wrote nothing is whatever came before it.
    settle_at = result.seq or result.head
    connection.execute(
        "UPDATE journal SET state = ?, outcome = ?, seq = ?, settle_at = ?, result = ?"
        " WHERE project_id = ? AND number = ?",
        (State.PUSHED.value, outcome, result.seq, settle_at, dumps(kept), project_id,
         result.number),
    )  # fmt: skip


def settle(connection: sqlite3.Connection, project_id: str, cursor: int, at: str) -> None:
    """Closes operations that are answered and no longer shown over what was pulled."""
    connection.execute(
        "UPDATE journal SET state = CASE outcome WHEN 'rejected' THEN ? ELSE ? END, settled_at = ?"
        " WHERE project_id = ? AND state = ? AND overlaid = 0 AND settle_at <= ?",
        (State.REJECTED.value, State.SETTLED.value, at, project_id, State.PUSHED.value, cursor),
    )


def arrived(
    connection: sqlite3.Connection,
    project_id: str,
    *,
    cursor: int,
    acked: int,
    op_ids: Iterable[str],
) -> list[tuple[int, str]]:
    """Returns (number, root) of shown operations whose effect has been pulled.

    That is so when the answer says so; when the hub held the operation as the log's end was
    read (``acked``); or when the log holds its events (``op_ids``), whoever pushed it.
    """
    found = dict(
        connection.execute(
            "SELECT number, root FROM journal WHERE project_id = ? AND overlaid = 1"
            " AND (state = ? AND settle_at <= ? OR number <= ?)",
            (project_id, State.PUSHED.value, cursor, acked),
        ).fetchall()
    )
    for op_id in op_ids:
        found.update(
            connection.execute(
                "SELECT number, root FROM journal WHERE op_id = ? AND overlaid = 1", (op_id,)
            ).fetchall()
        )
    return sorted(found.items())


def lift(connection: sqlite3.Connection, project_id: str, numbers: Iterable[int]) -> None:
    """Takes operations out of what is shown over what was pulled."""
    connection.executemany(
        "UPDATE journal SET overlaid = 0 WHERE project_id = ? AND number = ?",
        [(project_id, number) for number in numbers],
    )


def wire_of(row: tuple[int, str, str, str, str, str | None, str, str | None]) -> Document | None:
    """Returns an operation as it travels, None if its body is gone.

    ``row`` is its number, op_id, kind, record_id, type, base, at and body.
    """
    number, op_id, kind, record_id, type_, base, at, body = row
    if body is None:
        return None
    return {
        "number": number,
        "op_id": op_id,
        "kind": kind,
        "record_id": record_id,
        "type": type_,
        "base": base,
        "at": at,
        "body": json.loads(body),
    }


def _row(row: Sequence[Any]) -> JournalRow:
    (project_id, number, op_id, kind, record_id, root, type_, base, body, at, hashed, state,
     overlaid_, outcome, seq, settle_at, result, made_at, settled_at) = row  # fmt: skip
    wire = wire_of((number, op_id, kind, record_id, type_, base, at, body))
    return JournalRow(
        project_id=project_id,
        number=number,
        op_id=op_id,
        kind=Kind(kind),
        record_id=record_id,
        root=root,
        type=type_,
        base=base,
        wire=wire,
        at=at,
        hash=bytes(hashed),
        state=State(state),
        overlaid=bool(overlaid_),
        outcome=outcome,
        seq=seq,
        settle_at=settle_at,
        result=None if result is None else loads(result),
        made_at=made_at,
        settled_at=settled_at,
    )


def discard(connection: sqlite3.Connection, op_id: str, at: str) -> None:
    """Lets go of a rejected operation.

    Raises:
        NotFound: there is none of that id.
        Conflict: it was not rejected.
    """
    row = of_operation(connection, op_id)
    if row is None:
        raise NotFound(f"there is no operation {op_id} in the journal")
    if row.state is not State.REJECTED:
        raise Conflict(f"operation {op_id} is {row.state.value}, not rejected")
    connection.execute(
        "UPDATE journal SET state = ?, settled_at = ? WHERE op_id = ?",
        (State.DISCARDED.value, at, op_id),
    )


def prune(connection: sqlite3.Connection, at: str) -> int:
    """Deletes what was settled or discarded long ago, but never a project's last row."""
    oldest = from_datetime(to_datetime(at) - timedelta(days=KEEP_DAYS))
    cursor = connection.execute(
        "DELETE FROM journal WHERE state IN (?, ?) AND settled_at < ? AND number <"
        " (SELECT max(number) FROM journal j WHERE j.project_id = journal.project_id)",
        (State.SETTLED.value, State.DISCARDED.value, oldest),
    )
    return cursor.rowcount


def at_place(connection: sqlite3.Connection, place: int) -> tuple[JournalRow | None, bytes]:
    """Returns the row at a place of the file with its hash, None if there is none."""
    row = connection.execute(
        f"SELECT {_COLUMNS}, row_hash FROM journal WHERE place = ?",  # noqa: S608
        (place,),
    ).fetchone()
    return (None, b"") if row is None else (_row(row[:-1]), bytes(row[-1]))
