"""A real Chroma process, stopped, killed, wiped and ruined under the index."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from context_api.adapters.probing import probe_chroma
from context_api.adapters.vector.breaker import BreakerState, CircuitBreaker
from context_api.adapters.vector.chroma import ChromaVectors
from context_api.adapters.vector.naming import collection_name, space_metadata
from context_api.application.index_care import mend_index, repair, verify
from context_api.application.vectors import CannotWrite
from memory_core.errors import Corrupt, Unavailable
from memory_core.records import Document
from tests.context_api.adapters.vector.material import ListSource, item, until, vector
from tests.support.patience import BUSY_S
from tests.support.servers.chroma import ChromaServer
from tests.support.servers.finding import Unstartable, free_port, missing

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
            slow = [fails(index.answers)]
            slow += [fails(lambda: index.nearest(here, query, 5)) for _ in range(2)]
            assert max(slow) < 0.5 + BUSY_S
            assert index.state() is BreakerState.OPEN
            assert fails(lambda: index.nearest(here, query, 5)) < 0.5
            until(lambda: index.state() is BreakerState.HALF_OPEN, "the pause ends")
            assert fails(lambda: index.upsert(here, [item("0", "text 0")])) < 0.5 + BUSY_S, (
                "the trial"
            )
            assert index.state() is BreakerState.OPEN
        finally:
            os.killpg(process.pid, signal.SIGCONT)
        until(answers(lambda: index.nearest(here, query, 5)), "it answers again")
        assert index.state() is BreakerState.CLOSED
        assert index.nearest(here, query, 5) == expected
        index.check()
        index.answers()


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
        assert mend_index(index, source, grace=0)["done"] == "repair"
        assert source.held(index) == source.wanted()


def test_a_data_folder_restored_from_an_older_copy_is_brought_up_to_date(
    own_server: ChromaServer, source: ListSource, tmp_path: Path
) -> None:
    with connected(own_server) as index:
        source.fill(1200)
        repair(index, source)
        own_server.stop(signal.SIGKILL)
        shutil.copytree(own_server.data, tmp_path / "old")
        own_server.start()
        until(answers(index.check), "it answers again")
        for number in range(100):
            source.add(str(number), f"changed {number}", source.rows[str(number)].kind)
            del source.rows[str(number + 200)]
            source.add(str(number + 2000), f"new {number}")
        assert repair(index, source)["verdict"] == "ok"
        own_server.stop(signal.SIGKILL)
        shutil.rmtree(own_server.data)
        shutil.copytree(tmp_path / "old", own_server.data)
        own_server.start()
        until(answers(index.check), "it answers again")
        report = verify(index, source)
        assert (report["stale"], report["orphans"], report["missing"]) == (100, 100, 100)
        assert mend_index(index, source, grace=0)["done"] == "repair"
        assert source.held(index) == source.wanted()
        assert verify(index, source)["verdict"] == "ok"


def test_a_collection_deleted_or_made_anew_behind_our_back(
    own_server: ChromaServer, source: ListSource
) -> None:
    with connected(own_server) as index, connected(own_server) as other:
        source.fill(80)
        repair(index, source)
        here = source.current.space(source, "session")
        other.drop(here)
        assert index.nearest(here, vector("text 0"), 5) == []
        assert mend_index(index, source, grace=0)["done"] == "repair"
        other.drop(here)
        other.upsert(here, [item("0", "text 0")])
        assert [id_ for id_, _ in index.nearest(here, vector("text 0"), 5)] == ["0"]
        other.drop(here)
        index.upsert(here, [item("4", "text 4")])
        assert dict(index.hashes(here)).keys() == {"4"}
        assert mend_index(index, source, grace=0)["done"] == "repair"
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
        assert mend_index(index, source, grace=0)["done"] == "rebuild"
        assert source.held(index) == source.wanted()


def garbage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    chance = random.Random(1)
    for start in range(0, len(data), 16_384):
        data[start : start + 4096] = chance.randbytes(len(data[start : start + 4096]))
    file.write_bytes(data)


def half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def gone(file: Path) -> None:
    file.unlink()


def mended(server: ChromaServer, source: ListSource) -> Document:
    """Mends until it succeeds, as a worker does, starting the server when it has died."""
    with connected(server) as index:
        for _ in range(12):
            try:
                return mend_index(index, source, grace=0)
            except Unavailable:
                assert server.process is not None
                # A signal's end is seen a moment after the connection's.
                with suppress(subprocess.TimeoutExpired):
                    server.process.wait(0.5)
                if server.process.poll() is not None:
                    server.start()
    pytest.fail("it was not mended")


RUINS = [
    ("data_level0.bin", garbage),
    ("data_level0.bin", half),
    ("header.bin", half),
    ("index_metadata.pickle", half),
    ("data_level0.bin", gone),
]


@pytest.mark.slow
def test_a_ruined_graph_is_found_and_rebuilt_without_reading_it(own_server: ChromaServer) -> None:
    """Some ruins answer wrongly, some with an error, and some end the server at each question."""
    source = ListSource()
    for number in range(1500):
        source.add(str(number), f"text {number}")
    with connected(own_server) as index:
        repair(index, source)
        assert verify(index, source)["verdict"] == "ok"
    for file, ruin in RUINS:
        own_server.stop(signal.SIGKILL)
        ruined = [one for one in own_server.data.rglob(file) if one.stat().st_size > 0]
        assert ruined
        for one in ruined:
            ruin(one)
        own_server.start()
        report = mended(own_server, source)
        assert (report["done"], report["verdict"]) == ("rebuild", "ok"), (file, ruin)
        with connected(own_server) as index:
            assert source.held(index) == source.wanted()
            assert verify(index, source)["verdict"] == "ok"


@contextmanager
def on_small_disk(folder: Path, size: str) -> Iterator[ChromaServer]:
    """Runs a server over a tmpfs; where none can be mounted the test is skipped, or fails."""
    server = ChromaServer(f"http://127.0.0.1:{free_port()}", folder)
    server.data.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(server.data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(f"no tmpfs can be mounted here: {done.stderr}")
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        server.start()
        yield server
    except Unstartable as error:
        missing("Chroma", error)
    finally:
        server.stop(signal.SIGKILL)
        subprocess.run(["umount", str(server.data)], check=True)


def fill(file: Path) -> None:
    """Takes all space that is left."""
    with file.open("wb", buffering=0) as ballast:
        for size in (65_536, 4096, 512):
            with suppress(OSError):
                while True:
                    ballast.write(b"\0" * size)


@pytest.mark.slow
def test_a_full_disk_is_noticed_and_mended_when_there_is_space(
    tmp_path: Path, source: ListSource
) -> None:
    with on_small_disk(tmp_path / "chroma", "24m") as server:
        for number in range(1500):
            source.add(str(number), f"text {number}")
        with connected(server) as index:
            repair(index, source)
            ballast = server.data / "ballast"
            fill(ballast)
            for number in range(1500, 4000):
                source.add(str(number), f"text {number}")
            with pytest.raises(Unavailable, match="disk is full"):
                repair(index, source)
            with pytest.raises(CannotWrite, match="disk is full"):
                index.check()
            stuck = probe_chroma(server.url, None)
            assert stuck.mend.endswith("docker-compose restart chroma")
            here = source.current.space(source, "session")
            assert index.nearest(here, vector("text 0"), 1)[0][0] == "0", "reads go on"
        ballast.unlink()
        # Chroma 1.5.9 mostly keeps a lock of the write that failed, and takes no other until it is
        # started again; its heartbeat goes on all the while.
        server.stop(signal.SIGKILL)
        server.start()
        assert mended(server, source)["verdict"] == "ok"
        with connected(server) as index:
            index.check()
            assert source.held(index) == source.wanted()
