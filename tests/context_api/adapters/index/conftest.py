"""A migrated database of its own for each test, opened as the hub's role."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from context_api.adapters.index import open_pool
from context_api.adapters.index.database import Pool
from tests.context_api.adapters.index.support import IndexDatabase, index_database
from tests.support.servers.fixtures import postgres_server  # noqa: F401
from tests.support.servers.postgres import PostgresServer


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[IndexDatabase]:  # noqa: F811
    """A migrated database without rows."""
    with index_database(postgres_server) as made:
        yield made


@pytest.fixture
def pool(database: IndexDatabase) -> Iterator[Pool]:
    """Connections of the hub's role."""
    with open_pool(database.url, size=4) as opened:
        yield opened
