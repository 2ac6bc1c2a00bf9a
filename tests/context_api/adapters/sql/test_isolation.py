"""A forgotten filter returns nothing: row-level security is the second wall between tenants."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from context_api.adapters.sql.dialect import open_database
from context_api.adapters.sql.libpq import libpq_url
from context_api.adapters.sql.tables import metadata
from context_api.adapters.sql.unit_of_work import SqlUnitOfWork
from context_api.application.ports import Viewer
from memory_core.errors import ContextError
from memory_core.ids import uuid7
from tests.context_api.adapters.sql.filling import filled
from tests.support.databases import OnServer

TENANT_TABLES = sorted(name for name, table in metadata.tables.items() if "tenant_id" in table.c)
CHANGEABLE = sorted({*TENANT_TABLES} - {"audit_log"})
VIEWS = ("v_active_sessions", "v_patterns_by_usage", "v_recent_checkpoints",
         "v_privacy_audit_summary")  # fmt: skip
SET = "SELECT set_config(%s, %s, true)"
TRANSACTIONS = 1_000
TENANTS = 64


@pytest.fixture(scope="module")
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[OnServer, Path, str, str]]:
    """A database with two tenants; tests that change it undo that."""
    database = OnServer(request.getfixturevalue("postgres_server"))
    folder = tmp_path_factory.mktemp("hub")
    yield (database, folder, *filled(database, folder))
    database.drop()


@pytest.fixture
def role(shared: tuple[OnServer, Path, str, str]) -> Iterator[psycopg.Connection]:
    """A connection as the hub's role, in a transaction that is undone."""
    database, folder, *_ = shared
    with psycopg.connect(libpq_url(database.url(folder))) as connection:
        yield connection
        connection.rollback()


def count(connection: psycopg.Connection, name: str) -> int:
    statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
    [found] = connection.execute(statement).fetchone() or [None]
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize("table", [*TENANT_TABLES, *VIEWS])
def test_without_a_tenant_there_is_nothing(role: psycopg.Connection, table: str) -> None:
    assert count(role, table) == 0


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_a_tenant_sees_all_of_its_own_and_only_that(
    shared: tuple[OnServer, Path, str, str], role: psycopg.Connection, table: str
) -> None:
    database, folder, a, b = shared
    with database.server.connect(database.names[folder]) as owner:
        statement = sql.SQL("SELECT tenant_id, count(*) FROM {} GROUP BY 1")
        stored = dict(owner.execute(statement.format(sql.Identifier(table))).fetchall())
    expected = {str(tenant): rows for tenant, rows in stored.items()}
    assert expected[a] > 0, "the table must hold something, or nothing is shown by this test"
    for tenant in (a, b):
        role.execute(SET, ["memctx.tenant_id", tenant])
        assert count(role, table) == expected[tenant]
    role.execute(SET, ["memctx.tenant_id", uuid7()])
    assert count(role, table) == 0


@pytest.mark.parametrize("table", CHANGEABLE)
@pytest.mark.parametrize("change", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}"])
def test_nobody_changes_what_is_another_s(
    shared: tuple[OnServer, Path, str, str], role: psycopg.Connection, table: str, change: str
) -> None:
    statement = sql.SQL(change).format(sql.Identifier(table))  # type: ignore[arg-type]
    assert role.execute(statement).rowcount == 0
    role.execute(SET, ["memctx.tenant_id", uuid7()])
    assert role.execute(statement).rowcount == 0


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_no_row_is_given_to_another(
    shared: tuple[OnServer, Path, str, str], role: psycopg.Connection, table: str
) -> None:
    _, _, a, b = shared
    role.execute(SET, ["memctx.tenant_id", a])
    statement = sql.SQL("UPDATE {} SET tenant_id = %s").format(sql.Identifier(table))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        role.execute(statement, [b])


def test_a_key_is_found_by_its_public_id_alone(
    shared: tuple[OnServer, Path, str, str], role: psycopg.Connection
) -> None:
    *_, a, _ = shared
    role.execute(SET, ["memctx.tenant_id", a])
    [key_id] = role.execute("SELECT id FROM api_keys").fetchone() or [None]
    role.execute(SET, ["memctx.tenant_id", ""])
    role.execute(SET, ["memctx.key_id", key_id])
    assert [row[0] for row in role.execute("SELECT id FROM api_keys")] == [key_id]
    assert role.execute("UPDATE api_keys SET owner = 'mallory'").rowcount == 0
    for table in TENANT_TABLES:
        assert count(role, table) == (table == "api_keys")


def test_the_list_of_tenants_shows_nothing_else(
    shared: tuple[OnServer, Path, str, str], role: psycopg.Connection
) -> None:
    *_, a, b = shared
    assert count(role, "tenants") == 0
    role.execute(SET, ["memctx.all_tenants", "on"])
    assert {str(row[0]) for row in role.execute("SELECT id FROM tenants")} >= {a, b}
    assert role.execute("UPDATE tenants SET name = 'mallory'").rowcount == 0
    for table in TENANT_TABLES:
        assert count(role, table) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE sessions NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE sessions DISABLE ROW LEVEL SECURITY",
        "DROP POLICY of_tenant ON sessions",
        "TRUNCATE sessions CASCADE",
        "UPDATE audit_log SET actor = 'mallory'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "ALTER TABLE audit_log DISABLE TRIGGER seal",
        "UPDATE alembic_version SET version_num = '0000'",
        "SET ROLE memctx_owner",
        "CREATE TABLE mine (id int)",
    ],
)
def test_the_hub_s_role_cannot_open_the_wall(role: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        role.execute(statement.encode())


async def _interleaved(url: str) -> int:
    """Runs transactions of many tenants over few connections; returns how many saw another's."""
    database = open_database(url)
    uow = SqlUnitOfWork(database)
    tenants = [uuid7() for _ in range(TENANTS)]
    chance = random.Random(7)
    for tenant in tenants:
        async with uow.write(tenant) as tx:
            await tx.add_tenant(f"canary {tenant}", "2026-01-01T00:00:00.000000Z")
            await tx.commit()
    crossed = 0

    async def one(tenant: str, ending: str) -> None:
        nonlocal crossed
        opened = database.writing if ending == "write" else database.reading
        async with opened(tenant) as connection:
            found = await connection.execute(metadata.tables["tenants"].select())
            names = [row.name for row in found]
            crossed += names != [f"canary {tenant}"]
            if ending == "fail":
                raise LookupError
            if ending == "stay":
                await connection.execute(text("SELECT pg_sleep(10)"))

    async def ended(tenant: str, ending: str) -> None:
        work = asyncio.create_task(one(tenant, ending))
        if ending == "stay":
            await asyncio.wait({work}, timeout=0.02)
            work.cancel()
        await asyncio.wait({work})

    async def lane() -> None:
        for _ in range(TRANSACTIONS // 8):
            ending = chance.choices(["read", "write", "fail", "stay"], [10, 10, 4, 1])[0]
            await ended(chance.choice(tenants), ending)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(lane())
    for tenant in tenants:
        async with uow.read(Viewer(tenant_id=tenant, actor="")) as tx:
            assert await tx.keys() == []
    await database.dispose()
    return crossed


def test_a_tenant_is_forgotten_with_its_transaction(on_server: OnServer, tmp_path: Path) -> None:
    assert asyncio.run(_interleaved(on_server.url(tmp_path))) == 0


async def _refused(url: str) -> None:
    database = open_database(url)
    with pytest.raises(ContextError):
        async with database.reading("'; DROP TABLE events; --") as connection:
            await connection.execute(metadata.tables["tenants"].select())
    await database.dispose()


def test_a_tenant_that_is_no_id_is_refused(on_server: OnServer, tmp_path: Path) -> None:
    asyncio.run(_refused(on_server.url(tmp_path)))
