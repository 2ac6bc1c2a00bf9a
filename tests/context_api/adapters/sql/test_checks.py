"""A hub does not start on a server that would lose writes or mix tenants."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from psycopg import sql

from context_api.adapters.sql.dialect import open_database
from memory_core.errors import Unavailable
from tests.support.databases import OnServer, owner_url
from tests.support.services import services_in


async def start(database: OnServer, folder: Path) -> None:
    async with services_in(folder, database):
        pass


async def check(url: str) -> None:
    database = open_database(url)
    try:
        await database.check()
    finally:
        await database.dispose()


def test_a_hub_starts_where_all_is_well(on_server: OnServer, tmp_path: Path) -> None:
    asyncio.run(start(on_server, tmp_path))


def test_a_role_that_answers_before_it_is_durable(on_server: OnServer, tmp_path: Path) -> None:
    on_server.url(tmp_path)
    name = on_server.names[tmp_path]
    statement = sql.SQL("ALTER ROLE memctx_app IN DATABASE {} SET synchronous_commit = off")
    with on_server.server.connect() as connection:
        connection.execute(statement.format(sql.Identifier(name)))
    with pytest.raises(Unavailable, match="synchronous_commit"):
        asyncio.run(start(on_server, tmp_path))


def test_the_owner_is_refused(on_server: OnServer, tmp_path: Path) -> None:
    on_server.url(tmp_path)
    with pytest.raises(Unavailable, match="owns the table"):
        asyncio.run(check(owner_url(on_server.server, on_server.names[tmp_path])))


def test_a_superuser_is_refused(on_server: OnServer, tmp_path: Path) -> None:
    on_server.url(tmp_path)
    address = on_server.server.address(on_server.names[tmp_path])
    with pytest.raises(Unavailable, match="exempt from row-level security"):
        asyncio.run(check(address.replace("postgresql:", "postgresql+asyncpg:")))


@pytest.mark.parametrize("wall", ["NO FORCE ROW LEVEL SECURITY", "DISABLE ROW LEVEL SECURITY"])
def test_a_table_without_its_wall_is_refused(
    on_server: OnServer, tmp_path: Path, wall: str
) -> None:
    on_server.url(tmp_path)
    with on_server.server.connect(on_server.names[tmp_path]) as connection:
        connection.execute(f"ALTER TABLE messages {wall}".encode())
    with pytest.raises(Unavailable, match="messages has no forced"):
        asyncio.run(start(on_server, tmp_path))


def test_another_schema_is_refused(on_server: OnServer, tmp_path: Path) -> None:
    on_server.url(tmp_path)
    with on_server.server.connect(on_server.names[tmp_path]) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Unavailable, match="newer release"):
        asyncio.run(start(on_server, tmp_path))
