"""A read transaction: one moment, seen by one viewer, unable to write."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import LargeBinary, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.audit import AuditReader
from context_api.adapters.sql.keys import to_key
from context_api.adapters.sql.loads import to_load
from context_api.adapters.sql.log import LogReader
from context_api.adapters.sql.measuring import read_heads, read_oldest, read_tenant
from context_api.adapters.sql.reading import Reader
from context_api.adapters.sql.replicas import ReplicaReader
from context_api.adapters.sql.rows import document_columns, to_document
from context_api.adapters.sql.snapshots import SnapshotReader
from context_api.application.ports import ContextLoad, StoredKey, Tenant, Viewer
from memory_core.canonical import canonical_json
from memory_core.records import Document, Kind

_PAGE = 500


class SqlReadTx:
    """A consistent view of one moment."""

    def __init__(self, connection: AsyncConnection, viewer: Viewer) -> None:
        self._connection = connection
        self._tenant_id = viewer.tenant_id
        self.log = LogReader(connection, viewer.tenant_id)
        self.audit = AuditReader(connection, viewer.tenant_id)
        self.records = Reader(connection, viewer)
        self.replicas = ReplicaReader(connection, viewer.tenant_id)
        self.snapshots = SnapshotReader(connection, viewer)

    async def keys(self) -> list[StoredKey]:
        """Returns the tenant's API keys, oldest first."""
        rows = await self._connection.execute(
            select(t.api_keys)
            .where(t.api_keys.c.tenant_id == self._tenant_id)
            .order_by(t.api_keys.c.created_at, t.api_keys.c.id)
        )
        return [to_key(row) for row in rows.mappings()]

    async def all_project_ids(self) -> list[str]:
        """Returns every project of the tenant, oldest first."""
        rows = await self._connection.execute(
            select(t.projects.c.id)
            .where(t.projects.c.tenant_id == self._tenant_id)
            .order_by(t.projects.c.created_at, t.projects.c.id)
        )
        return [row.id for row in rows]

    async def tenant(self) -> Tenant | None:
        """Returns the viewer's tenant itself."""
        return await read_tenant(self._connection, self._tenant_id)

    async def heads(self, project_ids: Sequence[str] | None = None) -> dict[str, int]:
        """Returns the head of every project of the tenant, or of those named, by its id."""
        return await read_heads(self._connection, self._tenant_id, project_ids)

    async def oldest(self, positions: Mapping[str, int]) -> str | None:
        """Returns the earliest time at which any event at these positions was recorded."""
        return await read_oldest(self._connection, self._tenant_id, positions)

    async def loads(self) -> list[ContextLoad]:
        """Returns what context packs gave out, oldest first."""
        table = t.context_loads
        rows = await self._connection.execute(
            select(table)
            .where(table.c.tenant_id == self._tenant_id)
            .order_by(table.c.loaded_at, table.c.recall_id, table.c.position)
        )
        return [to_load(row) for row in rows.mappings()]

    async def view_digest(self) -> bytes:
        """Returns one SHA-256 over every row of every view of the tenant, in key order."""
        state = hashlib.sha256()
        for table in (t.projects, t.project_remotes, *t.VIEW_TABLES):
            state.update(table.name.encode())
            async for row in self._rows(table):
                state.update(canonical_json(row))
        return state.digest()

    async def _rows(self, table: Table) -> AsyncIterator[dict[str, Any]]:
        columns = [c for c in table.columns if c.name != "epoch"]
        statement = (
            select(*columns)
            .where(table.c.tenant_id == self._tenant_id)
            .order_by(*table.primary_key.columns)
        )
        result = await self._connection.stream(statement.execution_options(yield_per=_PAGE))
        binary = {c.name for c in columns if isinstance(c.type, LargeBinary)}
        async for row in result.mappings():
            yield {
                name: value.hex() if name in binary and value is not None else value
                for name, value in row.items()
            }

    async def view_rows(self, project_id: str, kind: Kind) -> AsyncIterator[Document]:
        """Yields every stored document of a kind, also deleted ones."""
        table = t.RECORD_TABLES[kind]
        of_project = table.c.id if kind is Kind.PROJECT else table.c.project_id
        columns = [table.c[name] for name in document_columns(kind)]
        statement = select(*columns).where(
            table.c.tenant_id == self._tenant_id, of_project == project_id
        )
        result = await self._connection.stream(statement.execution_options(yield_per=_PAGE))
        async for row in result.mappings():
            yield to_document(kind, row)
