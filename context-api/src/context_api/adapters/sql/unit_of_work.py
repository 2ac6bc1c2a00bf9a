"""Transactions: a write that rolls back unless it is committed, and a read of one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.database import Database
from context_api.adapters.sql.keys import to_key
from context_api.adapters.sql.reading import Reader
from context_api.adapters.sql.reading_tx import SqlReadTx
from context_api.adapters.sql.write_tx import SqlWriteTx
from context_api.application.ports import Recalled, StoredKey, Viewer


class SqlUnitOfWork:
    """Opens transactions on the hub's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def write(self, tenant_id: str, project: str = "") -> AsyncIterator[SqlWriteTx]:
        """Opens a write transaction of a tenant, in the lane of a project if one is named.

        Raises:
            Busy: others hold what it needs for longer than one waits.
            StorageFull, Unavailable, Corrupt: the database cannot be written.
        """
        async with (
            self._database.lane(tenant_id, project) as learn,
            self._database.writing(tenant_id) as connection,
        ):
            tx = SqlWriteTx(
                connection,
                tenant_id,
                self._database.dialect,
                committed=self._database.committed,
                glance=self.glance,
                shortcuts=await self._database.shortcuts(connection, tenant_id),
            )
            yield tx
            if tx.project_id is not None:
                learn(tx.project_id)

    @asynccontextmanager
    async def read(self, viewer: Viewer) -> AsyncIterator[SqlReadTx]:
        """Opens a read transaction as ``viewer``.

        Raises:
            Busy, Unavailable, Corrupt: the database cannot be read.
        """
        async with self._database.reading(viewer.tenant_id) as connection:
            yield SqlReadTx(connection, viewer)

    @asynccontextmanager
    async def glance(self, viewer: Viewer) -> AsyncIterator[Reader]:
        """Opens a read transaction for a few rows by their keys.

        Raises:
            Busy, Unavailable, Corrupt: the database cannot be read.
        """
        async with self._database.glancing(viewer.tenant_id) as connection:
            yield Reader(connection, viewer)

    def recalled(self, viewer: Viewer) -> Recalled:
        """Returns the records as recall reads them, as ``viewer``."""
        return self._database.recalled(viewer)

    async def find_key(self, key_id: str) -> StoredKey | None:
        """Returns an API key by its public id, whichever tenant it belongs to."""
        async with self._database.of_key(key_id) as connection:
            rows = await connection.execute(select(t.api_keys).where(t.api_keys.c.id == key_id))
            row = rows.mappings().first()
        return None if row is None else to_key(row)

    async def tenants(self) -> list[str]:
        """Returns the ids of all tenants, oldest first."""
        async with self._database.of_everyone() as connection:
            rows = await connection.execute(
                select(t.tenants.c.id).order_by(t.tenants.c.created_at, t.tenants.c.id)
            )
            return [row.id for row in rows]

    async def checkpoint(self) -> bool:
        """Moves what was erased out of the database's own log; False if it must wait."""
        return await self._database.checkpoint()
