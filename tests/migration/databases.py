"""Empty databases of both kinds to migrate, and what their catalogs say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, create_engine

from tests.support.databases import owner_url
from tests.support.servers.postgres import PostgresServer

Schema = set[tuple[str, ...]]

# Columns, constraints, indexes, views, policies and rights of everything a revision makes.
CATALOG = """
SELECT 'column', table_name || '.' || column_name,
       concat_ws(' ', data_type, character_maximum_length, is_nullable, column_default)
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'view', viewname, definition FROM pg_views WHERE schemaname = 'public'
UNION ALL
SELECT 'policy', tablename || '.' || policyname, concat_ws(' ', cmd, qual, with_check)
FROM pg_policies WHERE schemaname = 'public'
UNION ALL
SELECT 'relation', relname, concat_ws(' ', relkind, relrowsecurity, relforcerowsecurity, reloptions)
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S')
UNION ALL
SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND prolang <> (
    SELECT oid FROM pg_language WHERE lanname = 'c')
UNION ALL
SELECT 'right', table_name, concat_ws(' ', grantee, privilege_type)
FROM information_schema.role_table_grants
WHERE table_schema = 'public' AND grantee = 'memctx_app'
"""


class Empty(Protocol):
    """A database that holds nothing yet."""

    @property
    def url(self) -> str:
        """The URL by which migrations use it."""

    def schema(self) -> Schema:
        """Returns all that revisions make; Alembic's own table left out."""

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Runs a statement and commits it."""

    def script(self, statements: str) -> None:
        """Runs many statements."""

    def engine(self) -> AbstractContextManager[Engine]:
        """Yields an engine on it."""

    def blocked(self) -> AbstractContextManager[None]:
        """Keeps migrations waiting while the block runs."""


@contextmanager
def disposed(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.dispose()


@dataclass
class File:
    """A SQLite file."""

    path: Path

    @property
    def url(self) -> str:
        return f"sqlite+aiosqlite:///{self.path}"

    def schema(self) -> Schema:
        rows = self.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master")
        return {(t, n, " ".join(sql.split())) for t, n, sql in rows if "alembic" not in n}

    def script(self, statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executescript(statements)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement).fetchall()

    def engine(self) -> AbstractContextManager[Engine]:
        return disposed(create_engine(f"sqlite:///{self.path}"))

    @contextmanager
    def blocked(self) -> Iterator[None]:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.rollback()


@dataclass
class Served:
    """A database of a PostgreSQL server."""

    server: PostgresServer
    name: str

    @property
    def url(self) -> str:
        return owner_url(self.server, self.name)

    def schema(self) -> Schema:
        rows = self.execute(CATALOG)
        return {row for row in rows if "alembic" not in row[1]}

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with self.server.connect(self.name) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def script(self, statements: str) -> None:
        with self.server.connect(self.name) as connection:
            connection.execute(statements.encode())

    def engine(self) -> AbstractContextManager[Engine]:
        address = self.url.replace("+asyncpg", "+psycopg")
        return disposed(create_engine(address))

    @contextmanager
    def blocked(self) -> Iterator[None]:
        from context_migration.runner import MIGRATION_LOCK

        with self.server.connect(self.name) as connection:
            connection.execute(f"SELECT pg_advisory_lock({MIGRATION_LOCK})".encode())
            yield
