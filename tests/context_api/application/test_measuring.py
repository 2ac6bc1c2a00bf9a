"""Progress is measured from outside: standing still shows, whatever the indexer says of itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from context_api.application import health, projects
from context_api.application.indexes import Indexes
from context_api.application.measuring import (
    FRESH_S,
    FULL_S,
    LEXICAL,
    VECTOR,
    Measures,
    Reading,
    report,
)
from context_api.application.services import Services
from context_api.worker.watching import watch
from memory_core.embedding.port import Embedder
from memory_core.errors import ModelMissing
from memory_core.operations import CreateCheckpoint, CreateProject
from memory_core.recall.ports import Progress
from memory_core.records import Kind
from tests.support.patience import BUSY_S
from tests.support.services import caller, do, services_in

ME = caller()


@dataclass
class Clock:
    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


async def made(services: Services) -> str:
    found = await projects.ensure(services, ME, CreateProject(slug="acme/api"))
    return str(found.document["id"])


async def save(services: Services, count: int) -> None:
    for number in range(count):
        body = CreateCheckpoint(description=f"step {number} of the work")
        await do(services, ME, Kind.CHECKPOINT, body, project="acme/api")


async def until(condition: Callable[[Reading], bool], services: Services) -> Reading:
    end = time.monotonic() + 20
    while True:
        found = await services.measures.read(services.uow, services.indexes, max_age_s=0.0)
        if condition(found):
            return found
        assert time.monotonic() < end, report(found)
        await asyncio.sleep(0.01)


def caught_up(found: Reading) -> bool:
    return all(lag.events == 0 for lag in found.lag.values())


@asynccontextmanager
async def held(services: Services, project: str) -> AsyncIterator[None]:
    """Keeps the indexer of words from a project, as one that hangs would be."""
    async with services.indexes.lock(project):
        yield


def test_what_waits_is_counted_and_standing_still_is_degraded(tmp_path: Path) -> None:
    async def run() -> None:
        async with services_in(tmp_path) as services:
            project = await made(services)
            await save(services, 1)
            await until(caught_up, services)
            assert (await health.ready(services))["status"] == "ok"
            services.measures.clock = clock = Clock(time.monotonic())
            async with held(services, project):
                await save(services, 3)
                found = await until(lambda found: found.lag[LEXICAL].events == 3, services)
                assert 0 <= found.oldest_s < 20
                assert found.stalled == []
                clock.at += services.measures.stall_s + 1
                ready = await health.ready(services)
                assert ready["status"] == "degraded"
                progress = ready["checks"]["progress"]  # type: ignore[index, call-overload]
                assert progress["stalled"] == [LEXICAL, VECTOR]
                assert progress["lag_events"] == 3
                assert progress["mend"] == "memctx doctor"
                # The indexer itself saw nothing wrong.
                assert services.indexes.indexer_report()["ok"] is True
            found = await until(caught_up, services)
            assert found.stalled == []
            assert found.events == 5
            assert (await health.ready(services))["status"] == "ok"

    asyncio.run(run())


def test_appends_are_counted_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with services_in(tmp_path) as services:
            await made(services)
            before = services.measures.appends
            await save(services, 4)
            assert services.measures.appends == before + 4
            assert services.measures.appended_events >= services.measures.appends

    asyncio.run(run())


@dataclass
class Positions:
    """Index stores that only know how far they are, as the test says."""

    progress_of: Progress = field(default_factory=Progress)

    def of(self, tenant_id: str) -> Positions:
        return self

    def progress(self, project_id: str) -> Progress:
        return self.progress_of

    def use_model(self, model: str, dimension: int) -> None:
        """Takes any."""


def no_model() -> Embedder:
    raise ModelMissing


def indexes_over(positions: Positions, embedder: Embedder | None) -> Indexes:
    return Indexes(stores=positions, load_embedder=no_model, embedder=embedder)  # type: ignore[arg-type]


def test_slow_work_is_not_standing_still(tmp_path: Path) -> None:
    async def run() -> None:
        async with services_in(tmp_path) as services:
            await made(services)
            await save(services, 9)
            measures, clock = Measures(clock=Clock()), Clock()
            measures.clock = clock
            positions = Positions()
            indexes = indexes_over(positions, services.indexes.embedder)
            for seq in range(9):
                clock.at += 0.9 * measures.stall_s
                positions.progress_of = Progress(lexical_seq=10, vector_seq=seq, pending=9 - seq)
                found = await measures.read(services.uow, indexes)
                assert found.stalled == []
                assert found.lag[VECTOR].events == 10 - seq
                assert found.pending == 9 - seq
            clock.at += 0.9 * measures.stall_s
            assert (await measures.read(services.uow, indexes)).stalled == []
            clock.at += 0.2 * measures.stall_s
            assert (await measures.read(services.uow, indexes)).stalled == [VECTOR]

    asyncio.run(run())


def test_new_words_do_not_hide_that_no_vector_is_made(tmp_path: Path) -> None:
    """What arrives meanwhile makes more wait; only what is done counts."""

    async def run() -> None:
        async with services_in(tmp_path) as services:
            await made(services)
            measures, clock = Measures(), Clock()
            measures.clock = clock
            positions = Positions(Progress(lexical_seq=1, vector_seq=0, pending=1))
            indexes = indexes_over(positions, services.indexes.embedder)
            for number in range(2, 6):
                await save(services, 1)
                clock.at += 0.5 * measures.stall_s
                positions.progress_of = Progress(lexical_seq=number, vector_seq=0, pending=number)
                found = await measures.read(services.uow, indexes)
            assert found.stalled == [VECTOR]

    asyncio.run(run())


def test_an_index_that_is_emptied_is_noticed_though_no_log_grows(tmp_path: Path) -> None:
    async def run() -> None:
        async with services_in(tmp_path) as services:
            await made(services)
            measures, clock = Measures(), Clock()
            measures.clock = clock
            positions = Positions(Progress(lexical_seq=1, vector_seq=1))
            indexes = indexes_over(positions, services.indexes.embedder)
            assert caught_up(await measures.read(services.uow, indexes))
            positions.progress_of = Progress()
            clock.at += FULL_S
            found = await measures.read(services.uow, indexes)
            assert found.lag[LEXICAL].events == found.lag[VECTOR].events == 1
            # What is behind is asked every time.
            positions.progress_of = Progress(lexical_seq=1, vector_seq=1)
            clock.at += FRESH_S
            assert caught_up(await measures.read(services.uow, indexes))

    asyncio.run(run())


def test_without_a_model_vectors_are_missing_but_not_stalled(tmp_path: Path) -> None:
    async def run() -> None:
        async with services_in(tmp_path) as services:
            await made(services)
            measures, clock = Measures(), Clock()
            measures.clock = clock
            indexes = indexes_over(Positions(Progress(lexical_seq=1, pending=5)), None)
            await measures.read(services.uow, indexes)
            clock.at += 10 * measures.stall_s
            found = await measures.read(services.uow, indexes)
            assert found.stalled == []
            assert found.lag[VECTOR].events == 1
            assert measures.degraded_s == {"vector": 10 * measures.stall_s}

    asyncio.run(run())


def test_degraded_time_adds_up_by_part(tmp_path: Path) -> None:
    async def run() -> None:
        async with services_in(tmp_path) as services:
            measures, clock = Measures(), Clock()
            measures.clock = clock
            parts: set[str] = set()
            measures.missing_parts = lambda: parts
            await measures.read(services.uow, services.indexes)
            for away, passed in ((set(), 7.0), ({"cache"}, 10.0), ({"cache", "x"}, 5.0)):
                parts = away
                clock.at += passed
                await measures.read(services.uow, services.indexes, max_age_s=0.0)
            clock.at += 3.0
            measures.missed("database")
            assert measures.degraded_s == {"cache": 18.0, "x": 8.0, "database": 3.0}

    asyncio.run(run())


def test_the_watch_notices_without_being_asked(tmp_path: Path) -> None:
    async def run() -> None:
        async with services_in(tmp_path) as services:
            services.measures.reading = None
            task = asyncio.create_task(watch(services))
            async with asyncio.timeout(10):
                while services.measures.reading is None:  # noqa: ASYNC110 - it is the question
                    await asyncio.sleep(0.01)
            task.cancel()

    asyncio.run(run())


def test_a_database_that_hangs_is_told_in_time(tmp_path: Path) -> None:
    """Every reader is taken: health answers all the same."""

    async def run() -> None:
        async with services_in(tmp_path) as services, asyncio.timeout(30):
            release = asyncio.Event()

            async def hold() -> None:
                from context_api.application.viewing import viewer_of

                async with services.uow.read(viewer_of(ME)) as tx:
                    await tx.all_project_ids()
                    await release.wait()

            holders = [asyncio.create_task(hold()) for _ in range(8)]
            await asyncio.sleep(0)
            started = time.monotonic()
            ready = await health.ready(services)
            assert time.monotonic() - started < 2.0 + BUSY_S
            assert ready["status"] == "unavailable"
            release.set()
            await asyncio.gather(*holders)
            assert (await health.ready(services))["status"] == "ok"

    asyncio.run(run())
