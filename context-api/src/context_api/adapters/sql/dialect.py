"""Everything that differs between the databases; outside `dialects`, no other module names one."""

from __future__ import annotations

import enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from sqlalchemy import Executable, Table, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.sql.dml import Insert

from memory_core.errors import InvalidInput

if TYPE_CHECKING:
    from context_api.adapters.sql.database import Asks, Database


class Dialect(enum.Enum):
    """The databases the hub runs on."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def dialect_of_url(url: str) -> Dialect:
    """Returns which of the supported databases a URL names.

    Raises:
        InvalidInput: none of them.
    """
    try:
        return Dialect(make_url(url).get_backend_name())
    except (ArgumentError, ValueError) as error:
        raise InvalidInput(
            "MEMCTX_DATABASE_URL must look like sqlite+aiosqlite:////path/to/hub.db"
            " or postgresql+asyncpg://user:password@host/database"
        ) from error


def url_of_file(path: Path) -> str:
    """Returns the URL of a database in a file."""
    return f"sqlite+aiosqlite:///{path}"


def open_database(url: str, *, synchronous: str = "NORMAL", asks: Asks | None = None) -> Database:
    """Returns the database of a URL, opened by its first use.

    ``synchronous`` is for SQLite, ``asks`` reads for recall where the database is a server.

    Raises:
        InvalidInput: the URL names a database that is not supported.
    """
    # Each imported where it is used: a hub waits for no driver that it does not need.
    match dialect_of_url(url):
        case Dialect.SQLITE:
            from context_api.adapters.sql.dialects.sqlite import open_sqlite  # noqa: PLC0415

            return open_sqlite(make_url(url), synchronous=synchronous)
        case Dialect.POSTGRESQL:
            from context_api.adapters.sql.dialects.postgresql import (  # noqa: PLC0415
                PostgresDatabase,
            )

            return PostgresDatabase(url, asks)


@cache
def upsert(dialect: Dialect, table: Table, keep: frozenset[str] = frozenset()) -> Insert:
    """Returns an insert that replaces an existing row, but for the columns in ``keep``."""
    # Kept: building it takes longer than writing a hundred rows.
    keys = [column.name for column in table.primary_key.columns]
    match dialect:
        case Dialect.SQLITE:
            statement: Any = sqlite.insert(table)
        case Dialect.POSTGRESQL:
            # Imported with its drivers, which a hub on SQLite need not wait for.
            from sqlalchemy.dialects import postgresql  # noqa: PLC0415

            statement = postgresql.insert(table)
        case _:
            assert_never(dialect)
    changed = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys and column.name not in keep
    }
    result: Insert = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    return result


def lock_row(dialect: Dialect, statement: Any) -> Any:
    """Returns ``statement`` so that it locks the rows it reads until the commit.

    SQLite needs nothing: its only writer holds the whole database.
    """
    match dialect:
        case Dialect.SQLITE:
            return statement
        case Dialect.POSTGRESQL:
            # Not against those who only refer to the row, as every record does to its project.
            return statement.with_for_update(key_share=True)
        case _:
            assert_never(dialect)


def lock_names(dialect: Dialect, tenant_id: str) -> Executable | None:
    """Returns the statement that makes others of a tenant who take names wait until the commit.

    Whoever looks whether a name is free must still be right when it is taken.
    """
    match dialect:
        case Dialect.SQLITE:
            return None
        case Dialect.POSTGRESQL:
            statement = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, 1))")
            return statement.bindparams(tenant=tenant_id)
        case _:
            assert_never(dialect)


def seals_audit(dialect: Dialect) -> bool:
    """Says whether the database itself puts an entry at the end of its chain and seals it.

    Where several processes write, that saves asking for the end of the chain first.
    """
    match dialect:
        case Dialect.SQLITE:
            return False
        case Dialect.POSTGRESQL:
            return True
        case _:
            assert_never(dialect)


def take_time(dialect: Dialect) -> Executable | None:
    """Returns the statement that lets what follows in the transaction take minutes."""
    match dialect:
        case Dialect.SQLITE:
            return None
        case Dialect.POSTGRESQL:
            return text("SET LOCAL statement_timeout = '10min'")
        case _:
            assert_never(dialect)
