"""A migrated database of its own for each test, by the URL that a hub has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.context_api.adapters.index.support import IndexDatabase, index_database
from tests.support.databases import app_url
from tests.support.servers.fixtures import postgres_server  # noqa: F401
from tests.support.servers.postgres import PostgresServer


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[IndexDatabase]:  # noqa: F811
    """A migrated database without rows."""
    with index_database(postgres_server) as made:
        yield made


@pytest.fixture
def url(database: IndexDatabase) -> str:
    """The database's URL for the hub's role."""
    return app_url(database.server, database.name)
