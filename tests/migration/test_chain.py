"""One chain of revisions: up, down, up; the models are its head; the DDL is checked in."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from context_api.adapters.sql.schema import REVISION
from context_api.adapters.sql.tables import metadata
from context_migration import runner

ROOT = Path(__file__).parents[2]
VIEWS = {
    "v_active_sessions",
    "v_patterns_by_usage",
    "v_recent_checkpoints",
    "v_privacy_audit_summary",
}


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def schema_of(path: Path) -> set[tuple[str, str, str]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master")
    found = {(type_, name, sql) for type_, name, sql in rows if name != "alembic_version"}
    connection.close()
    return {row for row in found if not row[1].startswith("sqlite_autoindex_alembic")}


def test_up_down_up_ends_at_the_same_schema(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    assert runner.upgrade(url_of(path)) == runner.head()
    first = schema_of(path)
    runner.downgrade(url_of(path), "base")
    assert schema_of(path) == set()
    assert runner.current(url_of(path)) is None
    runner.upgrade(url_of(path))
    assert schema_of(path) == first
    assert {name for type_, name, _ in first if type_ == "view"} == VIEWS


def test_upgrading_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    runner.upgrade(url_of(path))
    before = schema_of(path)
    runner.upgrade(url_of(path))
    assert schema_of(path) == before


def test_the_models_are_the_head_of_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    runner.upgrade(url_of(path))
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert differences == []
    assert runner.head() == REVISION


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_the_ddl_that_is_checked_in_is_the_chain(dialect: str) -> None:
    stored = ROOT / "docs" / "schema" / f"{dialect}.sql"
    assert runner.ddl(dialect) in stored.read_text(encoding="utf-8")


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    runner.upgrade(url_of(path))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(runner.SchemaTooNewError, match="newer"):
        runner.upgrade(url_of(path))


def test_the_views_answer(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    runner.upgrade(url_of(path))
    connection = sqlite3.connect(path)
    for view in sorted(VIEWS):
        assert connection.execute(f"SELECT * FROM {view}").fetchall() == []
    connection.close()


def migrating(path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "context_migration", "upgrade"],
        env={**os.environ, "MEMCTX_DATABASE_URL": url_of(path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def test_five_migrators_at_once_migrate_once(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    started = [migrating(path) for _ in range(5)]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert runner.current(url_of(path)) == runner.head()


def test_a_killed_migration_leaves_nothing_half_made(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    blocker = sqlite3.connect(path)
    blocker.execute("BEGIN IMMEDIATE")
    process = migrating(path)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    blocker.rollback()
    blocker.close()
    assert schema_of(path) == set()
    assert runner.upgrade(url_of(path)) == runner.head()
