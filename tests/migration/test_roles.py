"""The role that the hub connects as: made before or after the tables, and again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from context_migration import runner
from tests.migration.databases import Served
from tests.support.databases import PASSWORD, create_owned
from tests.support.servers.postgres import PostgresServer

RIGHTS = (
    "SELECT privilege_type FROM information_schema.role_table_grants"
    " WHERE grantee = 'memctx_app' AND table_name = '{}' ORDER BY 1"
)
ALL = [("DELETE",), ("INSERT",), ("SELECT",), ("UPDATE",)]


@pytest.fixture
def served(postgres_server: PostgresServer) -> Iterator[Served]:
    """An empty database whose owner has made the hub's role."""
    name = create_owned(postgres_server)
    yield Served(postgres_server, name)
    postgres_server.drop(name)


def roles(served: Served, **environ: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if "MEMCTX_" not in name}
    return subprocess.run(
        [sys.executable, "-m", "context_migration", "roles", "--database-url", served.url],
        env={**plain, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def rights(served: Served) -> dict[str, list[tuple[str, ...]]]:
    return {
        table: served.execute(RIGHTS.format(table))
        for table in ("events", "alembic_version", "v_active_sessions")
    }


def test_rights_are_the_same_whichever_came_first(served: Served) -> None:
    runner.upgrade(served.url)
    first = rights(served)
    assert first == {
        "events": ALL,
        "alembic_version": [("SELECT",)],
        "v_active_sessions": [("SELECT",)],
    }
    served.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM memctx_app")
    done = roles(served, MEMCTX_APP_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stderr
    assert rights(served) == first


def test_the_password_is_kept_as_a_hash(served: Served) -> None:
    assert roles(served, MEMCTX_APP_PASSWORD=PASSWORD).returncode == 0
    [(kept,)] = served.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'memctx_app'")
    assert kept.startswith("SCRAM-SHA-256$")
    assert PASSWORD not in kept


def test_a_password_is_needed(served: Served) -> None:
    refused = roles(served)
    assert refused.returncode == 2
    assert "MEMCTX_APP_PASSWORD" in refused.stderr


def test_a_server_that_is_not_there(served: Served) -> None:
    gone = Served(PostgresServer("postgresql://postgres@127.0.0.1:1/postgres"), "nowhere")
    refused = roles(gone, MEMCTX_APP_PASSWORD=PASSWORD)
    assert refused.returncode == 1
    assert PASSWORD not in refused.stderr
    assert "Traceback" not in refused.stderr
