"""Fixtures of the migration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.migration.databases import Empty, File, Served
from tests.support.databases import create_owned
from tests.support.servers.fixtures import postgres_server

__all__ = ["empty", "postgres_server"]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Empty]:
    """An empty database, of each kind."""
    if request.param == "sqlite":
        yield File(tmp_path / "hub.db")
        return
    server = request.getfixturevalue("postgres_server")
    name = create_owned(server)
    yield Served(server, name)
    server.drop(name)
