"""A team's hub for the tests of a module, on servers that they may stop, kill and wipe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.team.hubs import Hubs, hubs_on, own_postgres
from tests.support.servers.postgres import PostgresServer
from tests.support.stack import Servers, Stack, running_servers, running_stack


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Servers of the module's own."""
    with running_servers() as found:
        yield found


@pytest.fixture(scope="module")
def stack(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two API processes and a worker; vectors are always searched in Chroma."""
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder, servers, apis=2, exact_search_chunks="0") as found:
        yield found


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that the tests about PostgreSQL may break, and leave running and whole."""
    with own_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def hubs(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hubs]:
    """Two API processes on one database of that server, and nothing else."""
    with hubs_on(tmp_path_factory.mktemp("hubs"), postgres) as found:
        found.start()
        found.start()
        yield found
