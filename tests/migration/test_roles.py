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


CHANGES = ("SELECT", "INSERT", "UPDATE", "DELETE")
INDEX = {
    "index_state", "index_generations", "index_units", "chunks", "chunk_states", "chunk_vectors",
    "index_dead",
}  # fmt: skip
RECORDS = {
    "tenants", "projects", "project_remotes", "events", "sessions", "messages", "checkpoints",
    "patterns", "session_tags", "pattern_tags", "conflicts",
}  # fmt: skip
KEPT_BY_THE_API = {
    "api_keys", "context_loads", "privacy_audit", "replicas", "replica_results",
}  # fmt: skip
SCHEMA = {"alembic_version", "db_metadata"}
REPORTS = {"v_active_sessions", "v_patterns_by_usage", "v_recent_checkpoints"}
SUMMARY = {"privacy_audit", "v_privacy_audit_summary"}

MATRIX: dict[str, dict[str, set[str]]] = {
    "memctx_app": {
        "SELECT": RECORDS | INDEX | KEPT_BY_THE_API | SCHEMA | REPORTS | SUMMARY | {"audit_log"},
        "INSERT": RECORDS | INDEX | KEPT_BY_THE_API | {"audit_log"},
        "UPDATE": RECORDS | INDEX | KEPT_BY_THE_API,
        "DELETE": RECORDS | INDEX | KEPT_BY_THE_API,
    },
    "memctx_worker": {
        "SELECT": RECORDS | INDEX | SCHEMA,
        "INSERT": INDEX,
        "UPDATE": INDEX,
        "DELETE": INDEX,
    },
    "memctx_auditor": {
        "SELECT": SCHEMA | SUMMARY | {
            "audit_log", "tenants", "projects", "index_state", "index_generations", "index_dead",
        },
        "INSERT": set(),
        "UPDATE": set(),
        "DELETE": set(),
    },
}  # fmt: skip
HELD = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
  AND has_table_privilege('{}', c.oid, '{}')
"""
MORE = """
SELECT count(*) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
  AND (has_table_privilege('{0}', c.oid, 'TRUNCATE') OR has_table_privilege('{0}', c.oid, 'TRIGGER')
       OR pg_has_role('{0}', c.relowner, 'MEMBER'))
"""


def matrix(served: Served) -> dict[str, dict[str, set[str]]]:
    return {
        role: {
            change: {row[0] for row in served.execute(HELD.format(role, change))}
            for change in CHANGES
        }
        for role in MATRIX
    }


def test_each_role_may_do_what_it_is_for_and_no_more(served: Served) -> None:
    """Whether the roles came before the tables, after them, or were given too much."""
    more = {f"MEMCTX_{name}_PASSWORD": PASSWORD for name in ("APP", "WORKER", "AUDITOR")}
    assert roles(served, **more).returncode == 0
    runner.upgrade(served.url)
    assert matrix(served) == MATRIX
    tables = {row[0] for row in served.execute(HELD.format("memctx_owner", "SELECT"))}
    walked = set().union(*(held for of in MATRIX.values() for held in of.values()))
    assert tables == walked, "a table that the matrix does not know"
    for role in MATRIX:
        assert served.execute(MORE.format(role)) == [(0,)]
        served.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    runner.upgrade(served.url)
    assert matrix(served) == MATRIX
    for role in MATRIX:
        served.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
    assert roles(served, **more).returncode == 0
    assert matrix(served) == MATRIX
