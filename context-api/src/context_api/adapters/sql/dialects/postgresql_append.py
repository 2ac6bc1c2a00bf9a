"""An append to the log as one statement: the head row is taken in it and kept until the commit.

Sent piece by piece, an append of a session keeps the project's head for some ten round trips,
and everybody who writes to the project waits for them. Here the server itself links the digests
and numbers the rows (docs/adr/0002). Rows travel as JSON, which the server takes apart by the
types of the table's columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import asyncpg
import orjson
from sqlalchemy import Table

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.batch import Batch, Place, Row
from context_api.adapters.sql.database import There
from context_api.adapters.sql.dialects.postgresql_json import to_jsonb
from context_api.adapters.sql.dialects.postgresql_statements import (
    KINDS,
    TAGS,
    appending,
    asking,
    reading,
)
from context_api.adapters.sql.rows import document_columns
from context_api.adapters.sql.types import CanonicalJson, Json, UtcTime, Uuid, from_moment
from context_api.application.ports import Moved, Viewer
from memory_core.canonical import canonical_json
from memory_core.errors import Busy, InvalidId, Unavailable
from memory_core.ids import parse_uuid
from memory_core.records import Document, Kind, Ref

# The first and the last moment of all, as the driver writes them elsewhere.
_ENDS = {
    "0001-01-01T00:00:00.000000Z": "-infinity",
    "9999-12-31T23:59:59.999999Z": "infinity",
}


class Shortcuts:
    """Does in one statement each what a write transaction does most."""

    def __init__(self, driver: asyncpg.Connection, tenant_id: str) -> None:
        self._driver = driver
        self._tenant_id = tenant_id

    async def there(
        self, viewer: Viewer, project: str | Ref, op_id: str, refs: Iterable[Ref]
    ) -> There:
        """Returns what there is of a project, by id, slug or record, an operation and records."""
        by_kind: dict[Kind, list[str]] = {}
        for ref in refs:
            by_kind.setdefault(ref.kind, []).append(ref.id)
        kinds = tuple(sorted(by_kind))
        granted = None if viewer.project_ids is None else sorted(viewer.project_ids)
        row = await self._driver.fetchrow(
            asking(kinds, *_naming(project)),
            self._tenant_id,
            op_id,
            project if isinstance(project, str) else project.id,
            granted,
            *(by_kind[kind] for kind in kinds),
        )
        found = zip(kinds, row[2:], strict=True)
        return There(row[0], row[1], frozenset(kind for kind, exists in found if exists))

    async def documents(self, kind: Kind, ids: Sequence[str]) -> list[Document]:
        """Returns the documents of records that exist."""
        names, converters = _converters(kind)
        rows = await self._driver.fetch(reading(kind), self._tenant_id, ids)
        return [
            {
                name: value if value is None or convert is None else convert(value)
                for name, convert, value in zip(names, converters, row, strict=True)
            }
            for row in rows
        ]

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
            row = await self._driver.fetchrow(appending(shape), *values)
        except asyncpg.UniqueViolationError as error:
            if is_held:
                raise
            raise Moved from error
        if row[0] is None:
            return None
        if row[2] != sum(map(len, batch.changed.values())):
            raise Busy("another write was in the way") if is_held else Moved
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


@cache
def _converters(kind: Kind) -> tuple[tuple[str, ...], list[Callable[[Any], Any] | None]]:
    """Returns the columns of a document, and what makes its values of the driver's."""
    table = t.RECORD_TABLES[kind]
    own: list[Callable[[Any], Any] | None] = []
    for name in document_columns(kind):
        match table.c[name].type:
            case Uuid():
                own.append(str)
            case UtcTime():
                own.append(from_moment)
            case _:
                own.append(None)
    return document_columns(kind), own


def _naming(project: str | Ref) -> tuple[str, str]:
    """Returns the table and the column that name a project."""
    if not isinstance(project, str):
        return t.RECORD_TABLES[project.kind].name, "id"
    try:
        parse_uuid(project)
    except InvalidId:
        return "projects", "slug"
    return "projects", "id"


def _values(batch: Batch) -> list[Any]:
    """Returns the parameters after the bodies, in the order of the statement's parts."""
    found: list[Any] = [_json(t.events, batch.events)]
    for kind in KINDS:
        table = t.RECORD_TABLES[kind]
        if kind in batch.made:
            found.append(_json(table, batch.made[kind]))
        if kind in batch.changed:
            found.append(_json(table, [row for _, row in batch.changed[kind]]))
            found.append([seq for seq, _ in batch.changed[kind]])
        if kind in batch.tags:
            found.append(_json(TAGS[kind], batch.tags[kind]))
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
