"""A real Chroma process, stopped, killed, wiped and ruined under the index."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from context_api.adapters.vector.breaker import BreakerState, CircuitBreaker
from context_api.adapters.vector.chroma import ChromaVectors
from context_api.adapters.vector.naming import collection_name, space_metadata
from context_api.application.index_care import mend_index, repair, verify
from memory_core.errors import Corrupt, Unavailable
from tests.context_api.adapters.vector.material import ListSource, item, until, vector
from tests.support.servers.chroma import ChromaServer

COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"


@contextmanager
def connected(server: ChromaServer, **options: float) -> Iterator[ChromaVectors]:
    breaker = CircuitBreaker("Chroma", first_pause=0.2, longest_pause=0.5)
    index = ChromaVectors(server.url, breaker=breaker, **options)  # type: ignore[arg-type]
    yield index
    index.close()


def fails(act: Callable[[], object]) -> float:
    """Returns the seconds until an act raised Unavailable."""
    begun = time.perf_counter()
    with pytest.raises(Unavailable):
        act()
    return time.perf_counter() - begun


def answers(act: Callable[[], object]) -> Callable[[], bool]:
    def tried() -> bool:
        try:
            act()
        except Unavailable:
            return False
        return True

    return tried


def test_a_stopped_server_costs_its_timeout_then_nothing_and_comes_back_by_itself(
    own_server: ChromaServer, source: ListSource
) -> None:
    process = own_server.process
    assert process is not None
    with connected(own_server, read_timeout=0.5, bulk_timeout=0.5) as index:
        source.fill(40)
        repair(index, source)
        here, query = source.current.space(source, "session"), vector("text 0")
        expected = index.nearest(here, query, 5)
        os.killpg(process.pid, signal.SIGSTOP)
        try:
            slow = [fails(lambda: index.nearest(here, query, 5)) for _ in range(3)]
            assert max(slow) < 1.0
            assert index.state() is BreakerState.OPEN
            assert fails(lambda: index.nearest(here, query, 5)) < 0.05
            until(lambda: index.state() is BreakerState.HALF_OPEN, "the pause ends")
            assert fails(lambda: index.upsert(here, [item("0", "text 0")])) < 1.0, "the trial"
            assert index.state() is BreakerState.OPEN
        finally:
            os.killpg(process.pid, signal.SIGCONT)
        until(answers(lambda: index.nearest(here, query, 5)), "it answers again")
        assert index.state() is BreakerState.CLOSED
        assert index.nearest(here, query, 5) == expected
        index.check()


def test_a_kill_during_upserts_is_repaired_to_equal(
    own_server: ChromaServer, source: ListSource
) -> None:
    with connected(own_server) as index:
        source.fill(3000)
        killed = threading.Event()

        def kill_in_the_middle(step: str, done: int) -> None:
            if step == "mending" and done > 1000 and not killed.is_set():
                own_server.stop(signal.SIGKILL)
                killed.set()

        with pytest.raises(Unavailable):
            repair(index, source, progress=kill_in_the_middle)
        assert killed.is_set()
        own_server.start()
        until(answers(index.check), "it answers again")
        held = source.held(index)
        assert 1000 < len(held) < 3000, "what was acknowledged before the kill is there"
        assert repair(index, source)["upserted"] == 3000 - len(held)
        assert verify(index, source)["verdict"] == "ok"
        assert source.held(index) == source.wanted()


def test_a_wiped_data_folder_is_filled_again(own_server: ChromaServer, source: ListSource) -> None:
    with connected(own_server) as index:
        source.fill(600)
        repair(index, source)
        own_server.stop(signal.SIGKILL)
        shutil.rmtree(own_server.data)
        own_server.start()
        until(answers(index.check), "it answers again")
        assert index.nearest(source.current.space(source, "session"), vector("text 0"), 5) == []
        assert verify(index, source)["missing"] == 600
        assert mend_index(index, source)["done"] == "repair"
        assert source.held(index) == source.wanted()


def test_a_collection_deleted_or_made_anew_behind_our_back(
    own_server: ChromaServer, source: ListSource
) -> None:
    with connected(own_server) as index, connected(own_server) as other:
        source.fill(80)
        repair(index, source)
        here = source.current.space(source, "session")
        other.drop(here)
        assert index.nearest(here, vector("text 0"), 5) == []
        assert mend_index(index, source)["done"] == "repair"
        other.drop(here)
        other.upsert(here, [item("0", "text 0")])
        assert [id_ for id_, _ in index.nearest(here, vector("text 0"), 5)] == ["0"]
        other.drop(here)
        index.upsert(here, [item("4", "text 4")])
        assert dict(index.hashes(here)).keys() == {"4"}
        assert mend_index(index, source)["done"] == "repair"
        assert source.held(index) == source.wanted()


@pytest.mark.parametrize(
    ("stranger", "metric", "why"),
    [(False, "l2", "cosine"), (True, "cosine", "another space"), (False, "cosine", "2 numbers")],
)
def test_a_collection_made_for_other_vectors_is_corrupt_until_rebuilt(
    chroma_server: ChromaServer, source: ListSource, stranger: bool, metric: str, why: str
) -> None:
    source.fill(8)
    here = source.current.space(source, "session")
    body = {
        "name": collection_name(here),
        "metadata": {"owner": "x"} if stranger else space_metadata(here),
        "configuration": {"hnsw": {"space": metric}},
    }
    made = httpx.post(chroma_server.url + COLLECTIONS, json=body).json()
    path = f"{chroma_server.url}{COLLECTIONS}/{made['id']}/upsert"
    httpx.post(path, json={"ids": ["1"], "embeddings": [[1.0, 2.0]]}).raise_for_status()
    with connected(chroma_server) as index:
        with pytest.raises(Corrupt, match=why):
            index.nearest(here, vector("text 0"), 5)
        with pytest.raises(Corrupt, match=why):
            index.upsert(here, [item("0", "text 0")])
        assert verify(index, source)["verdict"] == "damaged"
        assert mend_index(index, source)["done"] == "rebuild"
        assert source.held(index) == source.wanted()
