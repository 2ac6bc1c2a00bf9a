"""The statements of a write on PostgreSQL, built once for each shape of what is written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Table

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.batch import PROVISIONAL
from context_api.adapters.sql.rows import document_columns
from memory_core.records import Kind

# The order of a statement's parts and parameters.
KINDS = (Kind.SESSION, Kind.MESSAGE, Kind.CHECKPOINT, Kind.PATTERN)
TAGS = {Kind.SESSION: t.session_tags, Kind.PATTERN: t.pattern_tags}
_PLACED = frozenset({"seq", "created_seq"})
Shape = tuple[frozenset[Kind], frozenset[Kind], frozenset[Kind], bool]
"""Of which kinds records are made, changed and tagged, and if anything was redacted."""


@cache
def reading(kind: Kind) -> str:
    """Reads the documents of a kind: tenant, ids."""
    return (
        f"SELECT {', '.join(document_columns(kind))} FROM {t.RECORD_TABLES[kind].name}"  # noqa: S608 (ours)
        " WHERE tenant_id = $1 AND id = ANY ($2::uuid[])"
    )


@cache
def asking(kinds: tuple[Kind, ...], table: str, column: str) -> str:
    """Asks for a project and whether an operation and records of each kind exist.

    Parameters: tenant, operation, the project's name in ``column`` of ``table``, the projects
    that are granted, and the ids of each kind.
    """
    own, visible = ("id", "NOT deleted") if table == "projects" else ("project_id", "true")
    cast = "text" if column == "slug" else "uuid"
    project = (
        f"(SELECT {own}::text FROM {table}"  # noqa: S608 (ours)
        f" WHERE tenant_id = $1 AND {column} = $3::{cast} AND {visible}"
        f" AND ($4::uuid[] IS NULL OR {own} = ANY ($4::uuid[])))"
    )
    operation = "EXISTS (SELECT FROM events WHERE tenant_id = $1 AND op_id = $2)"
    records = [
        f"EXISTS (SELECT FROM {t.RECORD_TABLES[kind].name}"
        f" WHERE tenant_id = $1 AND id = ANY (${number}::uuid[]))"
        for number, kind in enumerate(kinds, 5)
    ]
    return f"SELECT {', '.join([project, operation, *records])}"


@cache
def appending(shape: Shape) -> str:
    """Returns the statement that appends batches of a shape.

    Every part reads from ``held`` and thus runs once the head row is locked.
    """
    parts = [_HELD, _CHAIN, _TAKEN, _logging()]
    number, counts = 5, ["0"]
    for kind in KINDS:
        made, changed, tagged = (kind in kinds for kinds in shape[:3])
        table = t.RECORD_TABLES[kind]
        if made:
            parts.append(_inserting(table, document_columns(kind), number))
            number += 1
        if changed:
            parts.append(_changing(table, document_columns(kind), number))
            counts.append(f"(SELECT count(*) FROM changed_{table.name})")  # noqa: S608 (ours)
            number += 2
        if tagged:
            tags = TAGS[kind]
            parts.append(_inserting(tags, _beside_tenant(tags), number))
            number += 1
    if shape[3]:
        parts.append(_inserting(t.privacy_audit, _beside_tenant(t.privacy_audit), number))
    return (
        f"WITH RECURSIVE {', '.join(parts)}"  # noqa: S608 (ours)
        f" SELECT (SELECT head FROM held), (SELECT slug FROM held), {' + '.join(counts)}"
    )


# Not against those who only refer to the row, as every record does to its project. What a
# transaction before has just made of the row is seen, also if this one had to wait for it.
_HELD = (
    "held AS (SELECT head, head_digest, slug FROM projects"
    " WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE)"
)
# The same as `memory_core.events.chain_digest`, link by link.
_CHAIN = (
    "chain (place, head, digest) AS (SELECT 0, head, head_digest FROM held UNION ALL"
    " SELECT place + 1, head,"
    " sha256(digest || int8send(head + place + 1) || ($3::bytea[])[place + 1])"
    " FROM chain WHERE place < cardinality($3::bytea[]))"
)
_TAKEN = (
    "taken AS (UPDATE projects p SET head = c.head + c.place, head_digest = c.digest FROM chain c"
    " WHERE p.tenant_id = $1 AND p.id = $2 AND c.place = cardinality($3::bytea[]))"
)


def _logging() -> str:
    names = [column.name for column in t.events.columns if column.name != "digest"]
    values = [_value(name) for name in names]
    return (
        f"logged AS (INSERT INTO events ({', '.join(names)}, digest)"  # noqa: S608 (ours)
        f" SELECT {', '.join(values)}, c.digest FROM held h,"
        f" {_records(t.events, 4)}, chain c WHERE c.place = r.seq - {PROVISIONAL})"
    )


def _inserting(table: Table, names: Sequence[str], number: int) -> str:
    values = [_value(name) for name in names]
    return (
        f"made_{table.name} AS (INSERT INTO {table.name} (tenant_id, {', '.join(names)})"  # noqa: S608 (ours)
        f" SELECT $1, {', '.join(values)} FROM held h, {_records(table, number)})"
    )


def _changing(table: Table, names: Sequence[str], number: int) -> str:
    """Changes rows that still are as they were read; others are missing in the count."""
    changes = [f"{name} = {_value(name)}" for name in names if name != "id"]
    return (
        f"changed_{table.name} AS (UPDATE {table.name} s SET {', '.join(changes)}"  # noqa: S608 (ours)
        f" FROM held h, ROWS FROM (json_populate_recordset(NULL::{table.name},"
        f" ${number}::text::json)) WITH ORDINALITY AS r"
        f" WHERE s.tenant_id = $1 AND s.id = r.id"
        f" AND s.seq = (${number + 1}::bigint[])[r.ordinality] RETURNING 1)"
    )


def _records(table: Table, number: int) -> str:
    return f"json_populate_recordset(NULL::{table.name}, ${number}::text::json) r"


def _value(name: str) -> str:
    if name not in _PLACED:
        return f"r.{name}"
    real = f"r.{name} - {PROVISIONAL} + h.head"
    return f"CASE WHEN r.{name} > {PROVISIONAL} THEN {real} ELSE r.{name} END"


def _beside_tenant(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name != "tenant_id"]
