"""SQLite: one exclusive writer and read-only readers, every pragma with its reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from context_api.adapters.sql.at_once import AtOnce
from context_api.adapters.sql.dialect import Dialect
from context_api.adapters.sql.failures import translating
from context_api.adapters.sql.recalled import RecalledAtOnce
from context_api.application.ports import Viewer
from memory_core.errors import InvalidInput

READERS = 4
BUSY_TIMEOUT_MS = 5_000
WRITE_QUEUE_TIMEOUT_S = 30.0


class SqliteDatabase:
    """A SQLite file, which this process has to itself."""

    dialect = Dialect.SQLITE

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, threaded: Engine) -> None:
        self._writer = writer
        self._reader = reader
        self._threaded = threaded

    @asynccontextmanager
    async def lane(self, tenant_id: str, project: str) -> AsyncIterator[Callable[[str], None]]:
        """Waits for nothing: there is one writer, whatever it writes to."""
        yield lambda project_id: None

    @asynccontextmanager
    async def writing(self, tenant_id: str) -> AsyncIterator[AsyncConnection]:
        """Opens a transaction that may write; the only one at a time."""
        with translating():
            async with self._writer.connect() as connection:
                await connection.begin()
                yield connection

    async def shortcuts(self, connection: AsyncConnection, tenant_id: str) -> None:
        """Has none: there is no way between the hub and the file that would cost anything."""

    @asynccontextmanager
    async def reading(self, tenant_id: str) -> AsyncIterator[AsyncConnection]:
        """Opens a view of one moment."""
        async with self.of_everyone() as connection:
            yield connection

    @asynccontextmanager
    async def of_everyone(self) -> AsyncIterator[AsyncConnection]:
        """Opens a view of one moment on everything there is."""
        with translating():
            async with self._reader.connect() as connection, connection.begin():
                yield connection

    @asynccontextmanager
    async def glancing(self, tenant_id: str) -> AsyncIterator[AtOnce]:
        """Opens a view for a few rows by their keys.

        They are read at once, on the event loop: finding a project took 0.15 ms, the way
        through the driver's thread and back 0.87 ms (two cores, medians of 400).
        """
        with translating(), self._threaded.connect() as connection, connection.begin():
            yield AtOnce(connection)

    @asynccontextmanager
    async def of_key(self, key_id: str) -> AsyncIterator[AtOnce]:
        """Opens a view in which every API key is seen."""
        async with self.glancing("") as connection:
            yield connection

    def recalled(self, viewer: Viewer) -> RecalledAtOnce:
        """Returns the records as recall's thread reads them, as ``viewer``."""
        return RecalledAtOnce(self._threaded, viewer)

    async def alive(self) -> None:
        """Reads a row, as a request does."""
        async with self.of_everyone() as connection:
            await connection.execute(text("SELECT id FROM tenants LIMIT 1"))

    def committed(self) -> None:
        """Tells nobody: no other process uses the file."""

    @asynccontextmanager
    async def hearing(self, heard: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Hears nothing: no other process uses the file."""
        yield

    async def checkpoint(self) -> bool:
        """Empties the write-ahead log into the database, so that erased content leaves both.

        Returns False if a reader still needs the log's old pages; then try again later.
        """
        with translating():
            async with self._writer.connect() as connection:
                raw = await connection.get_raw_connection()
                # Outside any transaction, where alone SQLite can empty its log.
                driver: Any = raw.driver_connection
                async with driver.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
                    busy, _, _ = await cursor.fetchone()
        return not busy

    async def check(self) -> None:
        """Finds nothing wrong: the pragmas are set when a connection is opened."""

    async def dispose(self) -> None:
        """Closes every connection."""
        await self._reader.dispose()
        await self._writer.dispose()
        self._threaded.dispose()


def open_sqlite(url: URL, *, synchronous: str) -> SqliteDatabase:
    """Returns the database of a file, whose folder must exist.

    Raises:
        InvalidInput: the URL names no file, or another driver.
    """
    if url.drivername != "sqlite+aiosqlite" or not url.database:
        raise InvalidInput("MEMCTX_DATABASE_URL must look like sqlite+aiosqlite:////path/to/hub.db")
    path = Path(url.database).absolute()
    writer = create_async_engine(
        url.set(database=str(path)),
        poolclass=AsyncAdaptedQueuePool,
        # One writer connection: SQLite has one writer anyway, and waiting here is fair and
        # bounded where waiting on the file's lock is neither. It also keeps clear of the
        # WAL-reset fault of SQLite before 3.51.3, which needs two connections that write.
        pool_size=1,
        max_overflow=0,
        pool_timeout=WRITE_QUEUE_TIMEOUT_S,
    )
    reader = create_async_engine(
        f"sqlite+aiosqlite:///file:{quote(str(path))}?mode=ro&uri=true",
        poolclass=AsyncAdaptedQueuePool,
        pool_size=READERS,
        max_overflow=0,
        pool_timeout=WRITE_QUEUE_TIMEOUT_S,
    )
    threaded = create_engine(
        f"sqlite+pysqlite:///file:{quote(str(path))}?mode=ro&uri=true&check_same_thread=false",
        poolclass=QueuePool,
        pool_size=READERS,
        # The event loop reads here too and must never wait for a thread to give one back.
        max_overflow=-1,
    )
    _on_connect(writer.sync_engine, _writer_pragmas(synchronous))
    _begin_with(writer.sync_engine, "BEGIN IMMEDIATE")
    for engine in (reader.sync_engine, threaded):
        _on_connect(engine, _READER_PRAGMAS)
        _begin_with(engine, "BEGIN")
    return SqliteDatabase(writer, reader, threaded)


def _writer_pragmas(synchronous: str) -> tuple[str, ...]:
    return (
        # Readers go on while the writer writes, and a commit is one append.
        "PRAGMA journal_mode = WAL",
        # NORMAL: a killed process loses nothing; a power cut may lose the last commits but
        # never the file. FULL waits for the disk at every commit (docs/adr/0009).
        f"PRAGMA synchronous = {'FULL' if synchronous == 'FULL' else 'NORMAL'}",
        "PRAGMA foreign_keys = ON",
        f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
        # Erased content must not stay in free pages.
        "PRAGMA secure_delete = ON",
        # A bounded log: after a checkpoint the file shrinks to 64 MiB again.
        "PRAGMA journal_size_limit = 67108864",
        "PRAGMA cache_size = -16384",
        "PRAGMA temp_store = MEMORY",
    )


_READER_PRAGMAS = (
    "PRAGMA query_only = ON",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA cache_size = -8192",
    "PRAGMA temp_store = MEMORY",
)


def _on_connect(engine: Engine, pragmas: tuple[str, ...]) -> None:
    def prepare(connection: Any, _record: Any) -> None:
        # The driver must not open transactions by itself; `_begin_with` does.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    event.listen(engine, "connect", prepare)


def _begin_with(engine: Engine, statement: str) -> None:
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(statement)

    event.listen(engine, "begin", begin)
