"""Everything that differs between the databases; no other module names one."""

from __future__ import annotations

import enum
from functools import cache
from typing import Any, assert_never

from sqlalchemy import Dialect as SqlDialect
from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import Insert


class Dialect(enum.Enum):
    """The databases the hub runs on."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def dialect_of(engine_dialect: SqlDialect) -> Dialect:
    """Returns which of the supported databases a SQLAlchemy dialect is."""
    return Dialect(engine_dialect.name)


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
            return statement.with_for_update()
        case _:
            assert_never(dialect)
