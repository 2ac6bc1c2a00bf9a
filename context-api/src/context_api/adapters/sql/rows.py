"""Documents as rows and back."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, RowMapping, Table, Text, func
from sqlalchemy import cast as as_type

from context_api.adapters.sql.tables import RECORD_TABLES
from memory_core.events import Event, EventType
from memory_core.records import Document, Kind

# Columns that are not part of a record's document: who shards it, and what is kept beside
# the log (see docs/adr/0010).
BESIDE: dict[Kind, frozenset[str]] = {
    Kind.PROJECT: frozenset({"tenant_id", "head", "head_digest", "epoch"}),
    Kind.SESSION: frozenset({"tenant_id", "access_count", "last_accessed"}),
    Kind.MESSAGE: frozenset({"tenant_id"}),
    Kind.CHECKPOINT: frozenset({"tenant_id"}),
    Kind.PATTERN: frozenset({"tenant_id"}),
    Kind.CONFLICT: frozenset({"tenant_id"}),
}

_COUNTERS = frozenset(
    {"message_count", "token_count", "frequency", "reuse_count", "successes", "failures"}
)
_FLAGS = frozenset({"deprecated"})


@cache
def document_columns(kind: Kind) -> tuple[str, ...]:
    """Returns the names of the columns that make up a document of ``kind``."""
    # Plain texts: JSON writers refuse SQLAlchemy's own kind of text.
    names = map(str, RECORD_TABLES[kind].columns.keys())
    return tuple(name for name in names if name not in BESIDE[kind])


def length_of(column: ColumnElement[Any]) -> ColumnElement[int]:
    """Returns the number of characters of a text or JSON column; 0 where there is nothing."""
    return func.coalesce(func.length(as_type(column, Text)), 0)


def to_row(kind: Kind, tenant_id: str, document: Document) -> dict[str, Any]:
    """Returns the row of a document; fields that a tombstone lacks become empty."""
    row: dict[str, Any] = {"tenant_id": tenant_id}
    for name in document_columns(kind):
        value = document.get(name)
        if value is None and name in _COUNTERS and kind is not Kind.MESSAGE:
            value = 0
        elif value is None and name in _FLAGS:
            value = False
        row[name] = value
    return row


def to_document(kind: Kind, row: RowMapping) -> Document:
    """Returns the document of a row that holds at least the document's columns."""
    return {name: row[name] for name in document_columns(kind)}


def event_row(tenant_id: str, event: Event, op_hash: bytes | None) -> dict[str, Any]:
    """Returns the row of an event; the operation's hash goes with its first event."""
    return {
        "tenant_id": tenant_id,
        "project_id": event.project_id,
        "seq": event.seq,
        "type": event.type.value,
        "kind": event.kind.value,
        "record_id": event.record_id,
        "parent_id": event.parent_id,
        "op_id": event.op_id,
        "op_index": event.op_index,
        "op_hash": op_hash if event.op_index == 0 else None,
        "actor": event.actor,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "redactions": event.redactions,
        "content": event.content,
        "salt": event.salt,
        "content_digest": event.content_digest,
        "digest": event.digest,
    }


def redaction_rows(tenant_id: str, event: Event) -> list[dict[str, Any]]:
    """Returns the counts of what was redacted from an event."""
    return [
        {
            "tenant_id": tenant_id,
            "project_id": event.project_id,
            "seq": event.seq,
            "type": type_,
            "count": count,
            "kind": event.kind.value,
            "record_id": event.record_id,
            "actor": event.actor,
            "recorded_at": event.recorded_at,
        }
        for type_, count in event.redactions.items()
    ]


def to_event(row: RowMapping) -> Event:
    """Returns the event of a row of the log."""
    return Event(
        project_id=row["project_id"],
        seq=row["seq"],
        type=EventType(row["type"]),
        kind=Kind(row["kind"]),
        record_id=row["record_id"],
        parent_id=row["parent_id"],
        op_id=row["op_id"],
        op_index=row["op_index"],
        actor=row["actor"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        redactions=cast("dict[str, int]", row["redactions"]),
        content=cast("Document | None", row["content"]),
        salt=row["salt"],
        content_digest=row["content_digest"],
        digest=row["digest"],
    )


def keep_columns(kind: Kind) -> frozenset[str]:
    """Returns the columns that projecting a document must not touch."""
    return BESIDE[kind] - {"tenant_id"}


def table_of(kind: Kind) -> Table:
    """Returns the table that holds records of ``kind``."""
    return RECORD_TABLES[kind]
