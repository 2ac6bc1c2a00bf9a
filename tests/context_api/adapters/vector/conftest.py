"""Vector indexes over memory and over a real server; each test has a project of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from context_api.adapters.vector.chroma import ChromaVectors
from context_api.adapters.vector.memory import MemoryVectors
from context_api.application.vectors import VectorIndex
from tests.context_api.adapters.vector.material import ListSource
from tests.support.servers.chroma import ChromaServer, running_chroma
from tests.support.servers.finding import Unstartable, missing
from tests.support.servers.fixtures import chroma_server  # noqa: F401


@pytest.fixture
def chroma(chroma_server: ChromaServer) -> Iterator[ChromaVectors]:  # noqa: F811
    found = ChromaVectors(chroma_server.url)
    yield found
    found.close()


@pytest.fixture(params=["memory", "chroma"])
def index(request: pytest.FixtureRequest) -> Iterator[VectorIndex]:
    if request.param == "memory":
        yield MemoryVectors()
    else:
        yield request.getfixturevalue("chroma")


@pytest.fixture
def source() -> ListSource:
    return ListSource()


@pytest.fixture
def own_server() -> Iterator[ChromaServer]:
    """A server that a test may stop, kill and ruin."""
    try:
        with running_chroma() as server:
            if server.folder is None:
                pytest.skip("faults need a server that was started here")
            yield server
    except Unstartable as error:
        missing("Chroma", error)
