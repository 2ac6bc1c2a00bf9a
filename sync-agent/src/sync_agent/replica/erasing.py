"""Taking what an erased record held out of the journal."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from memory_core.canonical import canonical_json
from memory_core.clock import now
from memory_core.records import Document, Kind, Ref
from memory_core.sync.operations import operation_hash
from sync_agent.replica.journal import row_hash
from sync_agent.replica.model import State
from sync_agent.replica.records import Records, dumps

_WITH_MESSAGES = ("create_session", "append_messages")
_REASON: Document = {
    "problem": {
        "code": "deleted",
        "status": 410,
        "title": "The record has been deleted.",
        "detail": "the record was erased, and with it what this operation said about it",
    }
}


def wipe(records: Records, ref: Ref, acked: int) -> bool:
    """Removes from the journal what operations said about an erased record, if they did.

    What the hub has (its numbers up to ``acked`` too) keeps its row without a body. What it has
    not becomes a deletion of the erased record under the same number, which the hub refuses:
    numbers have no gap.
    """
    connection = records.connection
    held = records.held(ref)
    root = held.root if held is not None and held.root else ref.id
    rows = connection.execute(
        "SELECT place, project_id, number, record_id, type, state, body, hash FROM journal"
        " WHERE root = ? AND body IS NOT NULL ORDER BY number",
        (root,),
    ).fetchall()
    found = [
        row for row in rows if _says_something(ref, record_id=row[3], type_=row[4], body=row[6])
    ]
    for row in found:
        _wipe_row(connection, ref, row, acked)
    return bool(found)


def _says_something(ref: Ref, *, record_id: str, type_: str, body: str) -> bool:
    # A root goes with all that was said about it, also in answer to its conflicts.
    if ref.kind in (Kind.SESSION, Kind.PATTERN) or record_id == ref.id:
        return body != "{}"
    if ref.kind is Kind.MESSAGE and type_ in _WITH_MESSAGES:
        messages = json.loads(body).get("messages") or []
        return any(message.get("id") == ref.id for message in messages)
    return False


def _wipe_row(connection: sqlite3.Connection, ref: Ref, row: tuple[Any, ...], acked: int) -> None:
    place, project_id, number, _, type_, state, body, hashed = row
    if state != State.PENDING.value or number <= acked:
        known = State.SETTLED.value if state == State.PENDING.value else state
        connection.execute(
            "UPDATE journal SET body = NULL, row_hash = ?, state = ?, overlaid = 0,"
            " settled_at = coalesce(settled_at, ?) WHERE place = ?",
            (row_hash(project_id, number, None, hashed), known, now(), place),
        )
        return
    if ref.kind is Kind.MESSAGE and type_ in _WITH_MESSAGES:
        content = json.loads(body)
        kept = [message for message in content["messages"] if message.get("id") != ref.id]
        if kept or type_ == "create_session":
            content["messages"] = kept
            rewrite(connection, place, type_, content)
            return
    connection.execute(
        "UPDATE journal SET kind = ?, record_id = ?, base = NULL, result = ? WHERE place = ?",
        (ref.kind.value, ref.id, dumps(_REASON), place),
    )
    rewrite(connection, place, "delete", {})


def rewrite(connection: sqlite3.Connection, place: int, type_: str, body: Document) -> None:
    """Puts another body into a pending row, and its digests right."""
    row = connection.execute(
        "SELECT project_id, number, op_id, kind, record_id, base, at FROM journal WHERE place = ?",
        (place,),
    ).fetchone()
    project_id, number, op_id, kind, record_id, base, at = row
    wire: Document = {
        "number": number, "op_id": op_id, "kind": kind, "record_id": record_id, "type": type_,
        "base": base, "at": at, "body": body,
    }  # fmt: skip
    hashed = operation_hash(wire)
    connection.execute(
        "UPDATE journal SET type = ?, body = ?, hash = ?, row_hash = ? WHERE place = ?",
        (type_, canonical_json(body).decode(), hashed,
         row_hash(project_id, number, wire, hashed), place),
    )  # fmt: skip
