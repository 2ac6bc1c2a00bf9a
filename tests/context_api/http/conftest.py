"""Fixtures of the HTTP tests: each runs on a hub of either database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.context_api.http.serving import Hub, serving
from tests.support.databases import HubDatabase, opened
from tests.support.servers.fixtures import postgres_server

__all__ = ["hub", "own_hub", "postgres_server", "shared_database"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_database(request: pytest.FixtureRequest) -> Iterator[HubDatabase]:
    """Where the hubs of a module keep their rows."""
    with opened(request) as database:
        yield database


@pytest.fixture(scope="module")
def hub(shared_database: HubDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that the tests of a module share."""
    folder = tmp_path_factory.mktemp("hub")
    with serving(folder, database_url=shared_database.url(folder)) as running:
        yield running


@pytest.fixture
def own_hub(shared_database: HubDatabase, tmp_path: Path) -> Iterator[Hub]:
    """A hub of one test."""
    with serving(tmp_path, database_url=shared_database.url(tmp_path)) as running:
        yield running
