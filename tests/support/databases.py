"""The databases a hub of the tests may run on: a file in its folder, or a server's.

Import `hub_database` in a ``conftest.py`` together with ``postgres_server``: a test that takes it
runs once on each. On a server every folder has a database of its own, made from a migrated
template, and the hub connects as the role that row-level security binds.
"""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from context_migration import runner
from context_migration.isolation import APP_ROLE
from context_migration.roles import create_roles
from tests.support.servers.postgres import PostgresServer

OWNER = "memctx_owner"
PASSWORD = "only-here-4Qz7-Lw2v"
TEMPLATE = "t_memctx_template"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


class HubDatabase(Protocol):
    """Where hubs keep their rows, by their folder."""

    def url(self, folder: Path) -> str:
        """Returns the URL for the hub in a folder, whose database has its schema."""

    def edit(self, folder: Path, statement: str, *values: Any) -> None:
        """Changes exactly one row behind the hub's back; ``?`` stands for a value."""

    def holding(self, folder: Path, text: str) -> list[str]:
        """Returns the files and tables of a hub that is stopped which hold a text."""


class Files:
    """SQLite, in the folder itself."""

    def url(self, folder: Path) -> str:
        """Returns the URL of the file, migrated."""
        folder.mkdir(parents=True, exist_ok=True)
        migrated_file(folder / "hub.db")
        return f"sqlite+aiosqlite:///{folder / 'hub.db'}"

    def edit(self, folder: Path, statement: str, *values: Any) -> None:
        """Changes one row."""
        with closing(sqlite3.connect(folder / "hub.db")) as connection, connection:
            assert connection.execute(statement, values).rowcount == 1

    def holding(self, folder: Path, text: str) -> list[str]:
        """Returns the files that hold a text."""
        files = [path for path in folder.rglob("*") if path.is_file()]
        return [path.name for path in files if text.encode() in path.read_bytes()]


@dataclass
class OnServer:
    """PostgreSQL, with a database for each folder."""

    server: PostgresServer
    names: dict[Path, str] = field(default_factory=dict)

    def url(self, folder: Path) -> str:
        """Returns the URL of the folder's database, for the hub's role."""
        if folder not in self.names:
            self.names[folder] = self.server.create(template(self.server))
        return app_url(self.server, self.names[folder])

    def edit(self, folder: Path, statement: str, *values: Any) -> None:
        """Changes one row, as a superuser may."""
        with self.server.connect(self.names[folder]) as connection:
            done = connection.execute(statement.replace("?", "%s").encode(), values)
            assert done.rowcount == 1

    def holding(self, folder: Path, text: str) -> list[str]:
        """Returns the files, and the tables with a row, that hold a text, plain or as bytes."""
        found = Files().holding(folder, text)
        wanted = [f"%{text}%", f"%{text.encode().hex()}%"]
        with self.server.connect(self.names[folder]) as connection:
            for (name,) in connection.execute(TABLES).fetchall():
                asked = sql.SQL("SELECT count(*) FROM {} AS t WHERE t::text LIKE ANY (%s)")
                row = connection.execute(asked.format(sql.Identifier(name)), [wanted]).fetchone()
                if row != (0,):
                    found.append(name)
        return found

    def drop(self) -> None:
        """Drops what was made."""
        for name in self.names.values():
            self.server.drop(name)
        self.names.clear()


@cache
def _template_file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    runner.upgrade(f"sqlite+aiosqlite:///{folder / 'hub.db'}")
    return folder / "hub.db"


def migrated_file(path: Path) -> None:
    """Gives a file its schema: a new one is a copy of a template, which takes no time."""
    if path.exists():
        runner.upgrade(f"sqlite+aiosqlite:///{path}")
    else:
        shutil.copyfile(_template_file(), path)


def url_as(server: PostgresServer, role: str, database: str) -> str:
    """Returns the URL of a database for one of the hub's roles."""
    address = urlsplit(server.url)
    host = address.netloc.rpartition("@")[2]
    return f"postgresql+asyncpg://{role}:{PASSWORD}@{host}/{database}"


def app_url(server: PostgresServer, database: str) -> str:
    """Returns the URL by which a hub uses a database."""
    return url_as(server, APP_ROLE, database)


def owner_url(server: PostgresServer, database: str) -> str:
    """Returns the URL by which migrations use a database."""
    return url_as(server, OWNER, database)


def create_owned(server: PostgresServer) -> str:
    """Returns the name of a new and empty database with its owner and the hub's role."""
    _make_owner(server)
    name = server.create()
    give_to_owner(server, name)
    return name


def give_to_owner(server: PostgresServer, name: str) -> None:
    """Makes the owner's a database, and the hub's role able to use what the owner makes there."""
    statement = sql.SQL("ALTER DATABASE {} OWNER TO {}")
    with server.connect() as connection:
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(OWNER)))
    create_roles(owner_url(server, name), PASSWORD)


def template(server: PostgresServer) -> str:
    """Returns the name of the server's migrated template, made when it is first asked for."""
    if TEMPLATE in server.templates:
        return TEMPLATE
    name = create_owned(server)
    runner.upgrade(owner_url(server, name))
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    server.drop(TEMPLATE)
    with server.connect() as connection:
        connection.execute(rename.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
    server.templates.add(TEMPLATE)
    return TEMPLATE


def _make_owner(server: PostgresServer) -> None:
    statement = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}")
    with server.connect() as connection:
        try:
            connection.execute(statement.format(sql.Identifier(OWNER), sql.Literal(PASSWORD)))
        except psycopg.errors.DuplicateObject:
            return


@contextmanager
def opened(request: pytest.FixtureRequest) -> Iterator[HubDatabase]:
    """Yields the kind of database that a fixture's parameter names."""
    if request.param == "sqlite":
        yield Files()
        return
    made = OnServer(request.getfixturevalue("postgres_server"))
    try:
        yield made
    finally:
        made.drop()


@pytest.fixture(params=["sqlite", "postgresql"])
def hub_database(request: pytest.FixtureRequest) -> Iterator[HubDatabase]:
    """The databases of a test's hubs: files, then a server's."""
    with opened(request) as database:
        yield database
