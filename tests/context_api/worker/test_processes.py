"""Workers as processes that are killed, stopped and started together."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from context_api.application.indexing import indexer_of, live_records
from memory_core.ids import uuid7
from memory_core.records import Kind, Ref
from tests.context_api.adapters.index.support import IndexDatabase
from tests.context_api.worker.hub import TENANT, Hub, hub, in_loop
from tests.memory_core.local_index.test_states import rows
from tests.memory_core.recall.records import opened
from tests.support.servers.children import start_child

ROOT = Path(__file__).parents[3]
PATIENCE_S = 90.0


@dataclass
class Worker:
    """A worker's process and what it wrote down."""

    name: str
    log: Path
    out: Path
    process: subprocess.Popen[bytes]

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.log.read_text().splitlines()]

    def has(self, word: str) -> bool:
        return self.log.exists() and any(word in line for line in self.lines())


@contextmanager
def workers(url: str, folder: Path) -> Iterator[Callable[..., Worker]]:
    """Yields what starts a worker; all are ended afterwards."""
    started: list[Worker] = []

    def start(**options: float) -> Worker:
        name = f"w{len(started)}"
        log, out = folder / f"{name}.log", folder / f"{name}.out"
        command = [sys.executable, "-m", "tests.context_api.worker.process", url, "--name", name]
        command += ["--log", str(log)]
        for option, value in options.items():
            command += [f"--{option}", str(value)]
        with out.open("wb") as file:
            process = start_child(command, cwd=ROOT, stdout=file, stderr=file)
        started.append(Worker(name, log, out, process))
        return started[-1]

    try:
        yield start
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGCONT)
                worker.process.kill()
            worker.process.wait(30)


def until(ready: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < end, f"never: {what}"
        # The process tells in no other way.
        time.sleep(0.02)


def is_done(database: IndexDatabase) -> bool:
    """Says whether every project is at its head with a vector for every chunk."""
    behind = database.run(
        "SELECT count(*) FROM projects p LEFT JOIN index_state s ON s.project_id = p.id"
        " WHERE p.head <> coalesce(s.applied_seq, 0)"
    )
    states = database.run("SELECT count(*) FILTER (WHERE state = 0), count(*) FROM chunk_states")
    return behind == [(0,)] and states[0][0] == 0 and states[0][1] == database.count("chunks")


async def fill(one: Hub, database: IndexDatabase, count: int, slug: str = "acme/api") -> None:
    """Saves sessions, and erases every fifth."""
    for number in range(count):
        texts = [f"{slug} turn {turn} of {number} about tabs {uuid7()}" for turn in range(4)]
        session = await one.save(slug, texts)
        if number % 5 == 4:
            await one.erase(session)


async def check_index(one: Hub, database: IndexDatabase) -> None:
    """Nothing is missing and nothing there twice: the view equals one made of the records."""
    assert one.services.indexes.try_embedder()
    for project_id, head in database.run("SELECT id::text, head FROM projects"):
        project = str(project_id)
        refs = [
            Ref(Kind(str(kind)), str(identity))
            for kind, identity in database.run(
                "SELECT 'session', id::text FROM sessions WHERE project_id = %s AND NOT deleted"
                " UNION ALL SELECT 'message', id::text FROM messages WHERE project_id = %s"
                " AND NOT deleted",
                project,
                project,
            )
        ]
        async with one.services.uow.read(indexer_of(TENANT)) as tx:
            records = await live_records(tx, refs)
        view = one.indexes.of(TENANT).view(project)
        with opened() as fresh:
            fresh.apply(project, int(str(head)), list(records.values()), [])
            assert rows(view) == rows(fresh.view(project))
        assert (view.chunks.embedded | ~view.chunks.alive).all()
    distinct = database.run("SELECT count(DISTINCT hash) FROM chunks")
    assert distinct == [(database.count("chunk_vectors"),)]
    assert database.count("chunk_states") == database.count("chunks")


@pytest.mark.slow
@in_loop
async def test_workers_killed_at_any_moment_leave_nothing_undone_or_twice(
    url: str, database: IndexDatabase, tmp_path: Path
) -> None:
    chance = random.Random(7)
    async with hub(url) as one:
        with workers(url, tmp_path) as start:
            running = [start(lease=1.0, pause=0.01) for _ in range(2)]
            for _ in range(8):
                for slug in ("acme/api", "acme/web"):
                    await fill(one, database, 5, slug)
                worker = running.pop(0)
                until(lambda worker=worker: worker.has("started"), "a worker starts")
                # At any moment: of its claims, words, vectors, commits.
                await asyncio.sleep(chance.uniform(0.0, 0.6))
                worker.process.kill()
                running.append(start(lease=1.0, pause=0.01))
            until(lambda: is_done(database), "the work is done")
        await check_index(one, database)


@pytest.mark.slow
@in_loop
async def test_two_workers_never_hold_one_lease(
    url: str, database: IndexDatabase, tmp_path: Path
) -> None:
    async with hub(url) as one:
        slugs = [f"acme/p{number}" for number in range(4)]
        with workers(url, tmp_path) as start:
            running = [start(pause=0.01) for _ in range(3)]
            for worker in running:
                until(lambda worker=worker: worker.has("started"), "a worker starts")
            for _ in range(4):
                for slug in slugs:
                    await fill(one, database, 3, slug)
                # Each time each project is taken at least once: a worker gathers what is written.
                until(lambda: is_done(database), "the work is done")
            until(lambda: database.count("index_state", "lease_owner IS NOT NULL") == 0, "released")
        await check_index(one, database)
    spans: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    fences: dict[str, list[int]] = defaultdict(list)
    for worker in running:
        began: dict[str, float] = {}
        for at, word, *rest in worker.lines():
            if word == "claim":
                began[rest[1]] = float(at)
                fences[rest[0]].append(int(rest[1]))
            elif word == "release":
                spans[rest[0]].append((began.pop(rest[1]), float(at), worker.name))
    assert sum(len(found) for found in spans.values()) >= 12
    assert len({name for found in spans.values() for _, _, name in found}) > 1
    for project, found in spans.items():
        found.sort()
        for (_, end, _), (begin, _, _) in pairwise(found):
            assert end <= begin
        assert len(fences[project]) == len(set(fences[project]))


@pytest.mark.slow
@in_loop
async def test_a_stopped_worker_is_taken_over_and_cannot_write_afterwards(
    url: str, database: IndexDatabase, tmp_path: Path
) -> None:
    async with hub(url) as one:
        with workers(url, tmp_path) as start:
            stalled = start(lease=1.5, pause=0.2)
            until(lambda: stalled.has("started"), "the first worker starts")
            await fill(one, database, 40)
            until(lambda: stalled.has("embedded"), "the first worker embeds")
            stalled.process.send_signal(signal.SIGSTOP)
            held = database.run("SELECT lease_owner, fence FROM index_state")
            assert held[0][0] == stalled.name
            second = start(lease=1.5)
            until(lambda: is_done(database), "the second worker does it all")
            taken = database.run("SELECT fence FROM index_state")
            assert int(str(taken[0][0])) > int(str(held[0][1]))
            until(
                lambda: database.count("index_state", "lease_owner IS NOT NULL") == 0,
                "the second worker gives it back",
            )
            before = database.run("SELECT revision, applied_seq FROM index_state")
            stalled.process.send_signal(signal.SIGCONT)
            # Stopped inside a transaction, it finds that one ended instead.
            refusals = (b"taken over", b"indexing failed")
            until(
                lambda: any(one in stalled.out.read_bytes() for one in refusals),
                "the first one is refused",
            )
            assert database.run("SELECT revision, applied_seq FROM index_state") == before
            assert second.process.poll() is None
        await check_index(one, database)
