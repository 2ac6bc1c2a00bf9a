"""One chain of revisions: up, down, up; the models are its head; the DDL is checked in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from context_api.adapters.sql.schema import REVISION
from context_api.adapters.sql.tables import metadata
from context_migration import runner
from tests.migration.databases import Empty

ROOT = Path(__file__).parents[2]
VIEWS = {
    "v_active_sessions",
    "v_patterns_by_usage",
    "v_recent_checkpoints",
    "v_privacy_audit_summary",
}
ALL_REVISIONS = [script.revision for script in runner.scripts().walk_revisions()]
# What only one of the databases has, the models, being of both, do not know: indexes inside JSON
# and texts, and the tables of the index that servers share.
INSIDE = ("_inside", "_parts")


def names(empty: Empty, what: str) -> set[str]:
    return {row[1] for row in empty.schema() if row[0] == what}


def test_up_down_up_ends_at_the_same_schema(empty: Empty) -> None:
    assert runner.upgrade(empty.url) == runner.head()
    first = empty.schema()
    runner.downgrade(empty.url, "base")
    assert empty.schema() == set()
    assert runner.current(empty.url) is None
    runner.upgrade(empty.url)
    assert empty.schema() == first
    assert names(empty, "view") == VIEWS


@pytest.mark.parametrize("revision", ALL_REVISIONS)
def test_every_former_revision_ends_at_the_same_schema(empty: Empty, revision: str) -> None:
    runner.upgrade(empty.url)
    expected = empty.schema()
    runner.downgrade(empty.url, revision)
    assert runner.current(empty.url) == revision
    assert runner.upgrade(empty.url) == runner.head()
    assert empty.schema() == expected


def test_upgrading_twice_changes_nothing(empty: Empty) -> None:
    runner.upgrade(empty.url)
    before = empty.schema()
    runner.upgrade(empty.url)
    assert empty.schema() == before


def of_models(_object: Any, name: str | None, type_: str, _reflected: bool, _to: Any) -> bool:
    if type_ == "table":
        return name in metadata.tables
    return not (type_ == "index" and name is not None and name.endswith(INSIDE))


def test_the_models_are_the_head_of_the_chain(empty: Empty) -> None:
    runner.upgrade(empty.url)
    with empty.engine() as engine, engine.connect() as connection:
        options = {"include_object": of_models, "compare_type": True}
        found = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(found, metadata)
    assert differences == []
    assert runner.head() == REVISION


@pytest.mark.parametrize("dialect", runner.DIALECTS)
def test_the_ddl_that_is_checked_in_is_the_chain(dialect: str) -> None:
    stored = ROOT / "docs" / "schema" / f"{dialect}.sql"
    assert runner.ddl(dialect) == stored.read_text(encoding="utf-8")


def test_the_ddl_makes_what_the_chain_makes(empty: Empty) -> None:
    """The document is not only like the schema: it is the schema."""
    runner.upgrade(empty.url)
    expected = empty.schema()
    dialect = "sqlite" if empty.url.startswith("sqlite") else "postgresql"
    runner.downgrade(empty.url, "base")
    empty.execute("DROP TABLE alembic_version")
    empty.script(runner.ddl(dialect))
    assert empty.schema() == expected


def test_a_newer_database_is_refused(empty: Empty) -> None:
    runner.upgrade(empty.url)
    empty.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(runner.SchemaTooNewError, match="newer"):
        runner.upgrade(empty.url)


def test_the_views_answer(empty: Empty) -> None:
    runner.upgrade(empty.url)
    for view in sorted(VIEWS):
        assert empty.execute(f"SELECT * FROM {view}") == []


def migrating(empty: Empty) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "context_migration", "upgrade"],
        env={**os.environ, "MEMCTX_DATABASE_URL": empty.url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def test_five_migrators_at_once_migrate_once(empty: Empty) -> None:
    started = [migrating(empty) for _ in range(5)]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert runner.current(empty.url) == runner.head()


def test_a_killed_migration_leaves_nothing_half_made(empty: Empty) -> None:
    with empty.blocked():
        process = migrating(empty)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=3)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert empty.schema() == set()
    assert runner.upgrade(empty.url) == runner.head()


def test_there_is_one_chain() -> None:
    scripts: ScriptDirectory = runner.scripts()
    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1
