"""Transactions: a write that rolls back unless it is committed, and a read of one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import select

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.at_once import AtOnce
from context_api.adapters.sql.engine import Engines
from context_api.adapters.sql.failures import translating
from context_api.adapters.sql.keys import to_key
from context_api.adapters.sql.reading import Reader
from context_api.adapters.sql.reading_tx import SqlReadTx
from context_api.adapters.sql.recalled import SqlRecalled
from context_api.adapters.sql.write_tx import SqlWriteTx
from context_api.application.ports import StoredKey, Viewer


class SqlUnitOfWork:
    """Opens transactions on the hub's database."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    @asynccontextmanager
    async def write(self, tenant_id: str) -> AsyncIterator[SqlWriteTx]:
        """Opens a write transaction of a tenant.

        Raises:
            Busy: the writer is taken for longer than its queue's timeout.
            StorageFull, Unavailable, Corrupt: the database cannot be written.
        """
        with translating():
            async with self._engines.writer.connect() as connection:
                await connection.begin()
                yield SqlWriteTx(connection, tenant_id, self._engines.dialect)

    @asynccontextmanager
    async def read(self, viewer: Viewer) -> AsyncIterator[SqlReadTx]:
        """Opens a read transaction as ``viewer``.

        Raises:
            Busy, Unavailable, Corrupt: the database cannot be read.
        """
        with translating():
            async with self._engines.reader.connect() as connection, connection.begin():
                yield SqlReadTx(connection, viewer)

    @asynccontextmanager
    async def glance(self, viewer: Viewer) -> AsyncIterator[Reader]:
        """Opens a read transaction for a few rows by their keys.

        SQLite reads them at once, on the event loop: a tenth of a millisecond, where the way
        through the driver's thread and back takes more than one.

        Raises:
            Busy, Unavailable, Corrupt: the database cannot be read.
        """
        with translating(), self._engines.threaded.connect() as connection, connection.begin():
            yield Reader(AtOnce(connection), viewer)

    def recalled(self, viewer: Viewer) -> SqlRecalled:
        """Returns the records as recall's thread reads them, as ``viewer``."""
        return SqlRecalled(self._engines.threaded, viewer)

    async def find_key(self, key_id: str) -> StoredKey | None:
        """Returns an API key by its public id, whichever tenant it belongs to."""
        with translating(), self._engines.threaded.connect() as connection:
            rows = connection.execute(select(t.api_keys).where(t.api_keys.c.id == key_id))
            row = rows.mappings().first()
        return None if row is None else to_key(row)

    async def tenants(self) -> list[str]:
        """Returns the ids of all tenants, oldest first."""
        with translating():
            async with self._engines.reader.connect() as connection:
                rows = await connection.execute(
                    select(t.tenants.c.id).order_by(t.tenants.c.created_at, t.tenants.c.id)
                )
                return [row.id for row in rows]

    async def checkpoint(self) -> bool:
        """Empties the write-ahead log into the database, so that erased content leaves both.

        Returns False if a reader still needs the log's old pages; then try again later.
        """
        with translating():
            async with self._engines.writer.connect() as connection:
                raw = await connection.get_raw_connection()
                # Outside any transaction, where alone SQLite can empty its log.
                driver: Any = raw.driver_connection
                async with driver.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
                    busy, _, _ = await cursor.fetchone()
        return not busy
