"""Servers for a whole test run, started when the first test asks for them.

Import the fixtures in a ``conftest.py``::

    from tests.support.servers.fixtures import postgres_server  # noqa: F401
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.servers.chroma import ChromaServer, running_chroma
from tests.support.servers.finding import Unstartable, missing
from tests.support.servers.postgres import PostgresServer, running_postgres
from tests.support.servers.redis import RedisServer, running_redis


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server; `create` makes a database on it."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres(in_memory=True))
        except Unstartable as error:
            missing("PostgreSQL", error)
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server with a password."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_redis())
        except Unstartable as error:
            missing("Redis", error)
        yield server


@pytest.fixture(scope="session")
def chroma_server() -> Iterator[ChromaServer]:
    """A Chroma server."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_chroma())
        except Unstartable as error:
            missing("Chroma", error)
        yield server
