"""Values come back from a server as they went in, and its refusals in the hub's words."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text, update

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.database import Database
from context_api.adapters.sql.dialect import open_database
from context_api.adapters.sql.dialects.postgresql_json import to_jsonb
from context_api.adapters.sql.unit_of_work import SqlUnitOfWork
from context_api.application.seeding import seed
from memory_core.canonical import canonical_json
from memory_core.errors import Busy, Conflict, InvalidInput
from memory_core.ids import uuid7
from tests.support.databases import OnServer
from tests.support.patience import BUSY_S
from tests.support.servers.postgres import PostgresServer

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False).map(
    # jsonb has no negative zero.
    lambda number: number or 0.0
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
AT = "2026-11-21T12:45:38.123456Z"


@pytest.fixture(scope="module")
def connection(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.connect() as opened:
        yield opened


@given(value=VALUES)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_json_comes_back_as_the_same_value(connection: psycopg.Connection, value: Any) -> None:
    [stored] = connection.execute("SELECT %s::jsonb::text", [to_jsonb(value)]).fetchone() or [None]
    assert canonical_json(json.loads(str(stored))) == canonical_json(value)


async def key_row(database: Database, tenant_id: str, **changed: Any) -> dict[str, Any]:
    """Stores an API key with some values changed and returns its row."""
    row = {
        "tenant_id": tenant_id, "id": uuid7(), "name": "n", "owner": "o", "scopes": ["read"],
        "secret_hash": b"\x00\xff", "created_at": AT, "project_ids": None, **changed,
    }  # fmt: skip
    async with database.writing(tenant_id) as connection:
        await connection.execute(insert(t.api_keys).values(row))
        found = await connection.execute(select(t.api_keys).where(t.api_keys.c.id == row["id"]))
        stored = dict(found.mappings().one())
        nulls = select(t.api_keys.c.project_ids.is_(None)).where(t.api_keys.c.id == row["id"])
        stored["is_null"] = (await connection.execute(nulls)).scalar()
    return stored


async def values(url: str) -> None:
    database = open_database(url)
    tenant_id = uuid7()
    await seed(SqlUnitOfWork(database), tenant_id)
    stored = await key_row(database, tenant_id)
    assert stored["secret_hash"] == b"\x00\xff"
    assert stored["scopes"] == ["read"]
    assert stored["created_at"] == AT
    assert stored["tenant_id"] == tenant_id
    assert (stored["project_ids"], stored["is_null"]) == (None, True)
    for text_ in ("plain", '"quoted"', "[1]", ""):
        assert (await key_row(database, tenant_id, scopes=text_))["scopes"] == text_
    for at in ("0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"):
        assert (await key_row(database, tenant_id, created_at=at))["created_at"] == at
    await database.dispose()


def test_every_type_comes_back_as_the_same_value(on_server: OnServer, tmp_path: Path) -> None:
    asyncio.run(values(on_server.url(tmp_path)))


async def contradictions(url: str) -> None:
    database = open_database(url)
    tenant_id = uuid7()
    with pytest.raises(Conflict):
        await key_row(database, tenant_id)
    await seed(SqlUnitOfWork(database), tenant_id)
    with pytest.raises(InvalidInput):
        await key_row(database, tenant_id, id="x" * 65)
    with pytest.raises(InvalidInput):
        async with database.reading(tenant_id) as connection:
            await connection.execute(select(t.projects.c.id).where(t.projects.c.id == "no id"))
    await database.dispose()


def test_what_the_database_refuses(on_server: OnServer, tmp_path: Path) -> None:
    asyncio.run(contradictions(on_server.url(tmp_path)))


async def too_slow(url: str) -> None:
    database = open_database(url)
    started = time.monotonic()
    with pytest.raises(Busy, match="took too long"):
        async with database.reading(uuid7()) as connection:
            await connection.execute(text("SELECT pg_sleep(30)"))
    assert 4.0 < time.monotonic() - started < 9.0 + BUSY_S
    await database.dispose()


def test_a_slow_statement_ends(on_server: OnServer, tmp_path: Path) -> None:
    asyncio.run(too_slow(on_server.url(tmp_path)))


async def crossed(url: str) -> None:
    """Two transactions that wait for each other: one is told so, the other succeeds."""
    database = open_database(url)
    tenant_id = uuid7()
    await seed(SqlUnitOfWork(database), tenant_id)
    ids = [str((await stored_key(database, tenant_id))["id"]) for _ in range(2)]
    both = asyncio.Barrier(2)

    async def touch(order: list[str]) -> str:
        try:
            async with database.writing(tenant_id) as connection:
                for number, key_id in enumerate(order):
                    if number:
                        await both.wait()
                    named = t.api_keys.c.id == key_id
                    await connection.execute(update(t.api_keys).where(named).values(name=key_id))
        except Busy:
            return "busy"
        return "done"

    assert sorted(await asyncio.gather(touch(ids), touch(ids[::-1]))) == ["busy", "done"]
    await database.dispose()


async def stored_key(database: Database, tenant_id: str) -> dict[str, Any]:
    row = {
        "tenant_id": tenant_id, "id": uuid7(), "name": "n", "owner": "o", "secret_hash": b"h",
        "scopes": ["read"], "created_at": AT,
    }  # fmt: skip
    async with database.writing(tenant_id) as connection:
        await connection.execute(insert(t.api_keys).values(row))
        await connection.commit()
    return row


def test_writers_that_wait_for_each_other(on_server: OnServer, tmp_path: Path) -> None:
    asyncio.run(crossed(on_server.url(tmp_path)))
