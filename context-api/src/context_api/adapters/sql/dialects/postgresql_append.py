"""An append to the log as one statement: the head row is taken in it and kept until the commit.

Sent piece by piece, an append of a session keeps the project's head for some ten round trips,
and everybody who writes to the project waits for them. Here the server itself links the digests
and numbers the rows (docs/adr/0002). Rows travel as JSON, which the server takes apart by the
types of the table's columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import asyncpg
import orjson
from sqlalchemy import Table

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.batch import PROVISIONAL, Batch, Place, Row
from context_api.adapters.sql.database import There
from context_api.adapters.sql.dialects.postgresql_json import to_jsonb
from context_api.adapters.sql.rows import document_columns
from context_api.adapters.sql.types import CanonicalJson, Json, UtcTime
from context_api.application.ports import Moved, Viewer
from memory_core.canonical import canonical_json
from memory_core.errors import InvalidId, Unavailable
from memory_core.ids import parse_uuid
from memory_core.records import Kind, Ref

# The order of a statement's parts and parameters.
_KINDS = (Kind.SESSION, Kind.MESSAGE, Kind.CHECKPOINT, Kind.PATTERN)
_TAGS = {Kind.SESSION: t.session_tags, Kind.PATTERN: t.pattern_tags}
_PLACED = frozenset({"seq", "created_seq"})
# The first and the last moment of all, as the driver writes them elsewhere.
_ENDS = {
    "0001-01-01T00:00:00.000000Z": "-infinity",
    "9999-12-31T23:59:59.999999Z": "infinity",
}
Shape = tuple[frozenset[Kind], frozenset[Kind], frozenset[Kind], bool]


class Shortcuts:
    """Does in one statement each what a write transaction does most."""

    def __init__(self, driver: asyncpg.Connection, tenant_id: str) -> None:
        self._driver = driver
        self._tenant_id = tenant_id

    async def there(self, viewer: Viewer, project: str, op_id: str, refs: Iterable[Ref]) -> There:
        """Returns what there is of a project, by id or slug, an operation and records."""
        by_kind: dict[Kind, list[str]] = {}
        for ref in refs:
            by_kind.setdefault(ref.kind, []).append(ref.id)
        kinds = tuple(sorted(by_kind))
        granted = None if viewer.project_ids is None else sorted(viewer.project_ids)
        row = await self._driver.fetchrow(
            _asking(kinds, by_id=_is_uuid(project)),
            self._tenant_id,
            op_id,
            project,
            granted,
            *(by_kind[kind] for kind in kinds),
        )
        found = zip(kinds, row[2:], strict=True)
        return There(row[0], row[1], frozenset(kind for kind, exists in found if exists))

    async def append(self, project_id: str, batch: Batch, *, is_held: bool) -> Place | None:
        """Writes a batch and says where it stands; None if there is no such project.

        Raises:
            Moved: what the batch rests on is no longer so. The transaction is lost.
        """
        shape = (
            frozenset(batch.made),
            frozenset(batch.changed),
            frozenset(batch.tags),
            bool(batch.redactions),
        )
        values = [self._tenant_id, project_id, batch.bodies, *_values(batch)]
        try:
            row = await self._driver.fetchrow(_appending(shape), *values)
        except asyncpg.UniqueViolationError as error:
            if is_held:
                raise
            raise Moved from error
        if row[0] is None:
            return None
        if row[2] != sum(map(len, batch.changed.values())):
            raise Moved
        return Place(row[0], row[1])

    async def commit(self) -> None:
        """Makes the transaction durable.

        Raises:
            Unavailable: a statement of it had failed, and nothing was written.
        """
        await committed(self._driver)


async def committed(driver: asyncpg.Connection) -> None:
    """Makes a transaction durable.

    Raises:
        Unavailable: a statement of it had failed, and nothing was written.
    """
    # Such a transaction would be undone by its COMMIT without a word.
    if await driver.execute("COMMIT") != "COMMIT":
        raise Unavailable("the transaction had failed and was undone")


def _is_uuid(name: str) -> bool:
    try:
        parse_uuid(name)
    except InvalidId:
        return False
    return True


@cache
def _asking(kinds: tuple[Kind, ...], *, by_id: bool) -> str:
    named = "id = $3::uuid" if by_id else "slug = $3::text"
    project = (
        f"(SELECT id::text FROM projects WHERE tenant_id = $1 AND {named} AND NOT deleted"  # noqa: S608 (ours)
        " AND ($4::uuid[] IS NULL OR id = ANY ($4::uuid[])))"
    )
    operation = "EXISTS (SELECT FROM events WHERE tenant_id = $1 AND op_id = $2)"
    records = [
        f"EXISTS (SELECT FROM {t.RECORD_TABLES[kind].name}"
        f" WHERE tenant_id = $1 AND id = ANY (${number}::uuid[]))"
        for number, kind in enumerate(kinds, 5)
    ]
    return f"SELECT {', '.join([project, operation, *records])}"


def _values(batch: Batch) -> list[Any]:
    """Returns the parameters after the bodies, in the order of the statement's parts."""
    found: list[Any] = [_json(t.events, batch.events)]
    for kind in _KINDS:
        table = t.RECORD_TABLES[kind]
        if kind in batch.made:
            found.append(_json(table, batch.made[kind]))
        if kind in batch.changed:
            found.append(_json(table, [row for _, row in batch.changed[kind]]))
            found.append([seq for seq, _ in batch.changed[kind]])
        if kind in batch.tags:
            found.append(_json(_TAGS[kind], batch.tags[kind]))
    if batch.redactions:
        found.append(_json(t.privacy_audit, batch.redactions))
    return found


def _json(table: Table, rows: Sequence[Row]) -> str:
    texts, values, times = _special(table)
    plain = []
    for row in rows:
        found = dict(row)
        for name in texts:
            if found[name] is not None:
                found[name] = canonical_json(found[name]).decode()
        for name in values:
            if found[name]:
                found[name] = orjson.Fragment(to_jsonb(found[name]))
        for name in times & found.keys():
            found[name] = _ENDS.get(found[name], found[name])
        plain.append(found)
    return orjson.dumps(plain, default=_bytes).decode()


@cache
def _special(table: Table) -> tuple[set[str], set[str], set[str]]:
    """Returns the columns of a table whose values are written in a way of their own."""
    texts, values, times = (
        {str(column.name) for column in table.columns if isinstance(column.type, of)}
        for of in (CanonicalJson, Json, UtcTime)
    )
    return texts, values, times


def _bytes(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(type(value).__name__)


@cache
def _appending(shape: Shape) -> str:
    """Returns the statement that appends batches of a shape.

    Every part reads from ``held`` and thus runs once the head row is locked.
    """
    parts = [_HELD, _CHAIN, _TAKEN, _logging()]
    number, counts = 5, ["0"]
    for kind in _KINDS:
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
            tags = _TAGS[kind]
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
