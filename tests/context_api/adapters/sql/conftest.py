"""Fixtures of the tests of the SQL adapter on a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.databases import OnServer
from tests.support.servers.fixtures import postgres_server
from tests.support.servers.postgres import PostgresServer

__all__ = ["on_server", "postgres_server"]


@pytest.fixture
def on_server(postgres_server: PostgresServer) -> Iterator[OnServer]:
    """The databases of a test's hubs, on a server."""
    made = OnServer(postgres_server)
    yield made
    made.drop()
