"""PostgreSQL: tenants kept apart by row-level security, and every limit with its reason."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from context_api.adapters.sql.database import Asks
from context_api.adapters.sql.dialect import Dialect
from context_api.adapters.sql.dialects.postgresql_append import Shortcuts, committed
from context_api.adapters.sql.dialects.postgresql_checks import check_server
from context_api.adapters.sql.dialects.postgresql_json import to_jsonb
from context_api.adapters.sql.dialects.postgresql_recalled import RecalledAsked
from context_api.adapters.sql.dialects.pulse import CLOSED, REFUSED, Pulse
from context_api.adapters.sql.failures import translated, translating
from context_api.adapters.sql.lanes import Lanes
from context_api.adapters.sql.libpq import libpq_url
from context_api.adapters.sql.places import Places
from context_api.application.ports import Viewer
from memory_core.errors import NotFound, Unavailable

# Two pools, so that writers who wait for one project's log never keep readers from theirs. A
# server of few cores does not do more with more connections. With the pulse and the eight of
# recall and index, four API processes and a worker stay below the 100 that PostgreSQL allows by
# default.
WRITERS = 4
READERS = 6
# Waiting for a connection is done in `Places`, before the pool. A server that does not answer is
# told to the client within two seconds: `Pulse` sees to what is under way already.
POOL_WAIT_S = 1.5
CONNECT_S = 1.5
ACQUIRE_S = 1.8
RECYCLE_S = 1800
# The last net, should even the pulse fail: longer than the server's own limit.
STATEMENT_NET_S = 10.0

SERVER_SETTINGS = {
    "application_name": "memctx",
    # A statement of a request that takes longer is one that nobody waits for any more.
    "statement_timeout": "5s",
    # Somebody else's lock: better an honest 503 than a queue that holds the pool.
    "lock_timeout": "2s",
    # A transaction that a dead process left open must not hold a project's log.
    "idle_in_transaction_session_timeout": "15s",
    # Compiling pays for statements of seconds; these take milliseconds.
    "jit": "off",
    "TimeZone": "UTC",
}
# A view of one moment: every statement of a transaction sees the same state.
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN"
# Ids and public ids of keys; anything else is nobody's.
_NAMED = re.compile(r"[A-Za-z0-9-]{1,64}")


class PostgresDatabase:
    """A PostgreSQL server, which any number of processes use at once."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, url: str, asks: Asks | None = None) -> None:
        """Connects with the first use; ``asks`` reads what recall needs."""
        self._asks = asks
        connect = partial(_connect, libpq_url(url))
        self._writers = _engine(connect, WRITERS)
        self._readers = _engine(connect, READERS)
        self._pulse = Pulse(connect)
        require = self._pulse.require
        self._write_places = Places(WRITERS, check=require)
        self._read_places = Places(READERS, check=require)
        self._lanes = Lanes(lambda: Places(WRITERS - 1, check=require))

    @asynccontextmanager
    async def lane(self, tenant_id: str, project: str) -> AsyncIterator[Callable[[str], None]]:
        """Waits for a place among the writers of a project, who never have all connections."""
        if not project:
            yield lambda project_id: None
            return
        async with self._lanes.enter(tenant_id, project) as learn:
            yield learn

    def writing(self, tenant_id: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens a transaction that may write what belongs to a tenant."""
        return self._transaction(_WRITE, "memctx.tenant_id", tenant_id)

    async def shortcuts(self, connection: AsyncConnection, tenant_id: str) -> Shortcuts:
        """Returns what does in one statement what a write transaction does most."""
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        return Shortcuts(driver, tenant_id)

    def reading(self, tenant_id: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens a view of one moment on what belongs to a tenant."""
        return self._transaction(_READ, "memctx.tenant_id", tenant_id)

    def glancing(self, tenant_id: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens a view for a few rows by their keys."""
        return self.reading(tenant_id)

    def of_key(self, key_id: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens a view in which one API key is seen, whichever tenant it belongs to."""
        return self._transaction(_READ, "memctx.key_id", key_id)

    def of_everyone(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens a view on what belongs to no tenant, and on the list of tenants."""
        return self._transaction(_READ, "memctx.all_tenants", "on")

    @asynccontextmanager
    async def _transaction(
        self, begin: str, setting: str, value: str
    ) -> AsyncIterator[AsyncConnection]:
        """Opens a transaction in which ``setting`` says what row-level security lets through."""
        if _NAMED.fullmatch(value) is None:
            raise NotFound
        writes = begin == _WRITE
        places = self._write_places if writes else self._read_places
        engine = self._writers if writes else self._readers
        statement = f"{begin}; SET LOCAL {setting} = '{value}'"
        async with places.taken(), self._begun(engine, statement) as connection:
            yield connection

    @asynccontextmanager
    async def _begun(self, engine: AsyncEngine, statement: str) -> AsyncIterator[AsyncConnection]:
        with translating():
            connection = await self._acquired(engine)
            try:
                raw = await connection.get_raw_connection()
                driver: Any = raw.driver_connection
                with self._pulse.watching(driver):
                    # In one round trip, and before SQLAlchemy, which leaves transactions to us.
                    await driver.execute(statement)
                    yield connection
            except REFUSED as error:
                raise translated(error) from error
            finally:
                # Also when cancelled: a connection that is not given back is lost to the pool.
                await asyncio.shield(asyncio.create_task(connection.close()))

    async def _acquired(self, engine: AsyncEngine) -> AsyncConnection:
        self._pulse.require()
        connection = engine.connect()
        try:
            async with asyncio.timeout(ACQUIRE_S):
                await connection.start()
        except CLOSED as error:
            raise translated(error) from error
        return connection

    def recalled(self, viewer: Viewer) -> RecalledAsked:
        """Returns the records as recall reads them, as ``viewer``."""
        if self._asks is None:
            raise Unavailable("this process was opened without a way to search")
        return RecalledAsked(self._asks, viewer)

    async def alive(self) -> None:
        """Asks the server on the pulse's connection, which is never lent to a request."""
        await self._pulse.ask()

    def committed(self) -> None:
        """Tells other processes soon; inside the transaction it would hold up every commit."""
        self._pulse.ring()

    def hearing(self, heard: Callable[[], Awaitable[None]]) -> AbstractAsyncContextManager[None]:
        """Calls ``heard`` while the block runs whenever another process has committed."""
        return self._pulse.running(heard)

    async def checkpoint(self) -> bool:
        """Has nothing to do: erased rows are overwritten by the server's own vacuum."""
        return True

    async def check(self) -> None:
        """Checks the server's settings and the role; see `check_server`."""
        async with self.of_everyone() as connection:
            await check_server(connection)

    async def dispose(self) -> None:
        """Closes every connection."""
        await self._readers.dispose()
        await self._writers.dispose()


async def _connect(address: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        address,
        timeout=CONNECT_S,
        command_timeout=STATEMENT_NET_S,
        server_settings=SERVER_SETTINGS,
    )


def _engine(connect: Callable[[], Awaitable[asyncpg.Connection]], size: int) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        pool_recycle=RECYCLE_S,
        # The connection that was used last is the one whose caches are warm.
        pool_use_lifo=True,
        json_serializer=to_jsonb,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "commit", _commit)
    event.listen(engine.sync_engine, "reset", _roll_back)
    return engine


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """Knows without asking that the server has hung up, and connects anew."""
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _commit(connection: Any) -> None:
    connection.connection.dbapi_connection.run_async(committed)


def _roll_back(connection: Any, _record: Any, state: Any) -> None:
    """Ends what was not committed before anybody else gets the connection."""
    driver = connection.driver_connection
    if not state.terminate_only and not driver.is_closed() and driver.is_in_transaction():
        connection.run_async(lambda driver: driver.execute("ROLLBACK"))
