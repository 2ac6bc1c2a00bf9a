"""Database engines: one exclusive writer and read-only readers, every pragma with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from context_api.adapters.sql.dialect import Dialect, dialect_of
from memory_core.errors import InvalidInput

READERS = 4
BUSY_TIMEOUT_MS = 5_000
WRITE_QUEUE_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Engines:
    """A writer, readers, readers for other threads, and which database they speak to."""

    writer: AsyncEngine
    reader: AsyncEngine
    threaded: Engine
    dialect: Dialect

    async def dispose(self) -> None:
        """Closes every connection."""
        await self.reader.dispose()
        await self.writer.dispose()
        self.threaded.dispose()


def open_engines(url: str, *, synchronous: str = "NORMAL") -> Engines:
    """Returns engines for ``url``; a SQLite file's folder must exist.

    Raises:
        InvalidInput: the URL names a database that is not supported.
    """
    parsed = make_url(url)
    if parsed.drivername != "sqlite+aiosqlite" or not parsed.database:
        raise InvalidInput("MEMCTX_DATABASE_URL must look like sqlite+aiosqlite:////path/to/hub.db")
    path = Path(parsed.database).absolute()
    writer = create_async_engine(
        parsed.set(database=str(path)),
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
    return Engines(writer, reader, threaded, dialect_of(writer.dialect))


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
