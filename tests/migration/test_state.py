"""Finding out quickly that nothing needs to be migrated."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from context_migration import runner
from context_migration.state import is_current
from tests.migration.databases import Empty


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def test_only_a_database_at_the_head_is_current(tmp_path: Path) -> None:
    assert not is_current(url_of(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()
    path = tmp_path / "hub of 100 %.db"
    runner.upgrade(url_of(path))
    assert is_current(url_of(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    assert not is_current(url_of(path))


def test_what_is_no_database_is_not_current(tmp_path: Path) -> None:
    broken = tmp_path / "hub.db"
    broken.write_bytes(b"x" * 5_000)
    assert not is_current(url_of(broken))
    assert not is_current("postgresql+asyncpg://hub@127.0.0.1/hub")


def test_it_is_told_of_either_database(empty: Empty) -> None:
    assert not is_current(empty.url)
    runner.upgrade(empty.url)
    assert is_current(empty.url)
    empty.execute("UPDATE alembic_version SET version_num = '0000'")
    assert not is_current(empty.url)
