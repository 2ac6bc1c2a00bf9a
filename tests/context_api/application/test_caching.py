"""Kept answers are the right ones, and what is asked at once is computed once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_api.adapters.cache.memory import MemoryCache
from context_api.application import context_pack, projects
from context_api.application.caching import CacheKey, Caches, Computed, Flights, cache_key
from context_api.application.query_vectors import CachedQueries
from context_api.application.services import Services
from context_api.application.viewing import viewer_of
from memory_core.budget import estimate_tokens
from memory_core.clock import from_datetime, to_datetime
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.errors import ContextError, EmbeddingFailed, ModelMissing, ProjectNotFound
from memory_core.ids import uuid7
from memory_core.operations import CreateCheckpoint, CreateProject
from memory_core.recall.moment import BUCKET_S
from memory_core.records import Document, Kind, Privacy
from memory_core.requests import ContextRequest
from tests.support.recall import ADA, NOON, Counting, lasting, say, search, settled
from tests.support.services import caller, do, services_in

BOB = caller("bob")
ROOM = 4 * 1024 * 1024
SOME_DAY = datetime(2000, 1, 1)  # noqa: DTZ001
KEY = CacheKey("search", "t:p", "1")


class Stalling(MemoryCache):
    """A cache whose calls wait until they may go on."""

    def __init__(self) -> None:
        super().__init__(ROOM)
        self.may_get, self.may_set = asyncio.Event(), asyncio.Event()
        self.getting, self.setting = asyncio.Event(), asyncio.Event()
        self.may_get.set()
        self.may_set.set()

    async def get(self, key: CacheKey) -> bytes | None:
        self.getting.set()
        await self.may_get.wait()
        return await super().get(key)

    async def set(self, key: CacheKey, value: bytes, ttl_s: float) -> None:
        self.setting.set()
        await self.may_set.wait()
        await super().set(key, value, ttl_s)


def missing_model() -> Any:
    raise ModelMissing


@asynccontextmanager
async def hub(folder: Path, *, vectors: bool = False) -> AsyncIterator[Services]:
    """Yields services that keep answers; without vectors nothing changes in the background."""
    async with services_in(folder) as services:
        if not vectors:
            services.indexes.load_embedder = missing_model
            services.indexes.embedder = None
        caches = Caches(store=MemoryCache(ROOM), clock=lambda: NOON)
        for slug in ("acme/api", "acme/web", "_team"):
            await projects.ensure(services, ADA, CreateProject(slug=slug))
        yield replace(services, caches=caches)


def counts(services: Services, name: str = "search") -> tuple[int, int, int]:
    """Returns hits, misses and stores."""
    assert services.caches.store is not None
    found = services.caches.store.counts[name]
    return found.hits, found.misses, found.stores


def snippets(document: Document) -> list[Any]:
    hits: Any = document["hits"]
    return [hit["snippet"] for hit in hits]


def test_an_equal_question_gets_the_kept_answer(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path) as services:
            await say(services, "the tokenizer drops apostrophes")
            first, second = await search(services), await search(services)
            assert lasting(first) == lasting(second)
            assert snippets(first)
            assert counts(services) == (1, 1, 1)

    asyncio.run(run())


def test_what_was_written_is_found_by_the_next_question(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path) as services:
            for number in range(5):
                await search(services)
                await say(services, f"the tokenizer has bug number{number}")
                found = str(snippets(await search(services)))
                assert all(f"number{n}" in found for n in range(number + 1))

    asyncio.run(run())


def test_askers_grants_and_questions_are_kept_apart(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path) as services:
            await say(services, "my tokenizer secret", privacy_level=Privacy.PRIVATE)
            other = await say(services, "a tokenizer elsewhere", project="acme/web")
            web = str((await search(services, projects=["acme/web"]))["hits"][0]["project_id"])  # type: ignore[index,call-overload]
            granted = caller("ada", "read", projects=frozenset({web}))
            for _ in range(2):
                assert len(snippets(await search(services))) == 2
                assert snippets(await search(services, who=BOB)) == ["a tokenizer elsewhere"]
                assert snippets(await search(services, who=granted)) == ["a tokenizer elsewhere"]
                with pytest.raises(ProjectNotFound):
                    await search(services, who=granted, projects=["acme/api"])
                assert len(snippets(await search(services, limit=1))) == 1
                assert not snippets(await search(services, kinds=["pattern"]))
            assert other
            assert counts(services)[0] == 5

    asyncio.run(run())


def test_explanations_are_made_anew(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path) as services:
            await say(services, "the tokenizer drops apostrophes")
            for _ in range(2):
                assert (await search(services, explain=True))["timings_ms"]
            assert counts(services) == (0, 0, 0)
            assert "timings_ms" not in await search(services)

    asyncio.run(run())


def test_answers_without_their_vectors_are_not_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path, vectors=True) as services:
            services.indexes.embedder = counting = Counting()
            await say(services, "the tokenizer drops apostrophes")
            await search(services)
            await settled(services)
            before = counts(services)[2]
            counting.fails = True
            assert (await search(services, "a question"))["degraded"] == ["vector"]
            assert counts(services)[2] == before
            counting.fails = False
            assert (await search(services, "a question"))["degraded"] == []
            assert (await search(services, "a question"))["degraded"] == []
            assert counts(services)[2] == before + 1
            assert counting.queries == 3

    asyncio.run(run())


def test_answers_from_an_index_that_lags_behind_are_not_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path, vectors=True) as services:
            services.indexes.embedder = counting = Counting()
            await say(services, "the tokenizer is old")
            await search(services)
            await settled(services)
            counting.fails_to_index = True
            await say(services, "the tokenizer is new")
            before = counts(services)[2]
            for _ in range(2):
                assert (await search(services))["degraded"] == []
            assert counts(services)[2] == before

    asyncio.run(run())


def test_an_answer_that_was_overtaken_by_the_index_is_not_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path, vectors=True) as services:
            services.indexes.embedder = counting = Counting()
            await say(services, "the tokenizer is old")
            await search(services)
            await settled(services)
            counting.waits_for = "tokenizer, slowly"
            slow = asyncio.create_task(search(services, counting.waits_for))
            await asyncio.to_thread(counting.waiting.wait, 30)
            await say(services, "the tokenizer is new")
            assert "the tokenizer is new" in snippets(await search(services))
            before = counts(services)[2]
            counting.go_on.set()
            await slow
            assert counts(services)[2] == before

    asyncio.run(run())


@pytest.mark.parametrize("kept", [True, False])
def test_fifty_equal_searches_compute_once(tmp_path: Path, kept: bool) -> None:
    async def run() -> None:
        async with hub(tmp_path, vectors=True) as services:
            if not kept:
                services = replace(services, caches=Caches(clock=lambda: NOON))  # noqa: PLW2901
            await say(services, "the tokenizer drops apostrophes")
            await search(services, "something else")
            await settled(services)
            services.indexes.embedder = counting = Counting()
            found = await asyncio.gather(*(search(services) for _ in range(50)))
            assert counting.queries == 1
            assert all(lasting(one) == lasting(found[0]) for one in found)
            await asyncio.gather(*(search(services, f"other {n}") for n in range(5)))
            assert counting.queries == 6

    asyncio.run(run())


def test_a_reader_that_stalls_before_keeping_does_no_harm(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path) as services:
            await say(services, "the tokenizer is old")
            store = Stalling()
            services = replace(services, caches=Caches(store=store, clock=lambda: NOON))  # noqa: PLW2901
            store.may_set.clear()
            slow = asyncio.create_task(search(services))
            await store.setting.wait()
            await say(services, "the tokenizer is new")
            store.may_set.set()
            await slow
            for _ in range(2):
                assert "the tokenizer is new" in snippets(await search(services))

    asyncio.run(run())


def test_an_answer_that_was_overtaken_while_it_was_made_is_not_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path) as services:
            await say(services, "the tokenizer is old")
            store = Stalling()
            services = replace(services, caches=Caches(store=store, clock=lambda: NOON))  # noqa: PLW2901
            store.may_get.clear()
            slow = asyncio.create_task(search(services))
            await store.getting.wait()
            await say(services, "the tokenizer is new")
            store.may_get.set()
            await slow
            assert store.counts["search"].stores == 0
            assert "the tokenizer is new" in snippets(await search(services))
            assert store.counts["search"].stores == 1

    asyncio.run(run())


def test_a_kept_pack_is_given_out_anew(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path) as services:
            await say(services, "the tokenizer drops apostrophes")
            checkpoint = CreateCheckpoint(id=uuid7(), description="stopped at the tokenizer")
            await do(services, ADA, Kind.CHECKPOINT, checkpoint, project="acme/api")
            asked = ContextRequest(project="acme/api", query="tokenizer", budget_tokens=500)
            packs = [await context_pack.build(services, ADA, asked) for _ in range(3)]
            assert counts(services, "context") == (2, 1, 1)
            own = ("text", "recall_id")
            shared = [{k: v for k, v in made.items() if k not in own} for made in packs]
            assert shared[0] == shared[1] == shared[2]
            assert not shared[0].keys() & {"nonce", "scores"}
            assert len({made["recall_id"] for made in packs}) == 3
            texts = [str(made["text"]) for made in packs]
            assert len(set(texts)) == 3
            assert len({text.split("\n", 1)[1].rsplit("\n", 1)[0] for text in texts}) == 1
            for made, text in zip(packs, texts, strict=True):
                assert made["tokens_used"] == estimate_tokens(text)
                opening, closing = text.splitlines()[0], text.splitlines()[-1]
                assert closing == opening.replace("<", "</", 1)
            async with services.uow.read(viewer_of(ADA)) as tx:
                loads = await tx.loads()
            by_recall = {
                made["recall_id"]: [
                    (load.kind, load.record_id, load.reason, load.score, load.tokens)
                    for load in loads
                    if load.recall_id == made["recall_id"]
                ]
                for made in packs
            }
            given = [*by_recall.values()]
            assert given[0]
            assert given[0] == given[1] == given[2]

    asyncio.run(run())


def test_a_pack_shows_what_was_written_since(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path) as services:
            asked = ContextRequest(project="acme/api", budget_tokens=500)
            for number in range(4):
                text = f"stopped at step{number}"
                body = CreateCheckpoint(id=uuid7(), description=text)
                await do(services, ADA, Kind.CHECKPOINT, body, project="acme/api")
                made = await context_pack.build(services, ADA, asked)
                assert text in str(made["text"])

    asyncio.run(run())


@given(st.datetimes(SOME_DAY, SOME_DAY.replace(year=2100)), st.integers(-56, 56))
def test_a_stretch_of_time_lies_within_one_day_of_every_zone(
    naive: datetime, quarters: int
) -> None:
    at = naive.replace(tzinfo=UTC)
    began = to_datetime(Caches(clock=lambda: from_datetime(at)).moment())
    assert timedelta(0) <= at - began < timedelta(seconds=BUCKET_S)
    last = began + timedelta(seconds=BUCKET_S, microseconds=-1)
    shift = timedelta(minutes=15 * quarters)
    assert (began + shift).date() == (last + shift).date()


def test_the_next_stretch_of_time_gets_its_own_answer(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub(tmp_path) as services:
            at = NOON
            caches = Caches(store=MemoryCache(ROOM), clock=lambda: at)
            services = replace(services, caches=caches)  # noqa: PLW2901
            await say(services, "the tokenizer drops apostrophes")
            for at in (NOON, "2026-11-21T12:04:59.999999Z", "2026-11-21T12:05:00.000000Z"):  # noqa: B007
                await search(services, "tokenizer yesterday")
            assert counts(services) == (1, 2, 2)

    asyncio.run(run())


def test_those_who_wait_share_an_error_and_those_who_come_later_do_not() -> None:
    async def run() -> None:
        flights: Flights[int] = Flights()
        calls = 0

        async def compute() -> int:
            nonlocal calls
            calls += 1
            await asyncio.sleep(0)
            if calls == 1:
                raise ContextError("once")
            return calls

        first = await asyncio.gather(
            *(flights.run(KEY, compute) for _ in range(10)), return_exceptions=True
        )
        assert all(isinstance(one, ContextError) for one in first)
        assert calls == 1
        assert await flights.run(KEY, compute) == 2

    asyncio.run(run())


@pytest.mark.parametrize("leaving", [0, 3, 9])
def test_who_stops_waiting_stops_nobody_else(leaving: int) -> None:
    async def run() -> None:
        flights: Flights[str] = Flights()
        go = asyncio.Event()
        calls = 0

        async def compute() -> str:
            nonlocal calls
            calls += 1
            await go.wait()
            return "done"

        waiting = [asyncio.create_task(flights.run(KEY, compute)) for _ in range(10)]
        await asyncio.sleep(0)
        waiting[leaving].cancel()
        await asyncio.gather(waiting[leaving], return_exceptions=True)
        go.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [one for one in found if one == "done"] == ["done"] * 9
        assert waiting[leaving].cancelled()
        assert calls == 1

    asyncio.run(run())


def test_a_computation_that_nobody_waits_for_ends() -> None:
    async def run() -> None:
        flights: Flights[str] = Flights()
        ended = asyncio.Event()
        started = asyncio.Event()

        async def compute() -> str:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return "never"

        waiting = [asyncio.create_task(flights.run(KEY, compute)) for _ in range(3)]
        await started.wait()
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

        async def quick() -> str:
            return "new"

        assert await flights.run(KEY, quick) == "new"
        await asyncio.wait_for(ended.wait(), 5)

    asyncio.run(run())


def test_what_does_not_last_is_given_but_not_kept() -> None:
    async def run() -> None:
        caches = Caches(store=MemoryCache(ROOM))
        key = cache_key("search", "t:p", {"a": 1})
        for number in range(3):

            async def compute(number: int = number) -> Computed:
                return Computed({"n": number}, lasting=number == 1)

            assert await caches.answer(key, compute) == {"n": min(number, 1)}

    asyncio.run(run())


def test_a_question_is_embedded_once() -> None:
    counting = Counting()
    embedder = CachedQueries(counting)
    first, second = embedder.embed_query("why?"), embedder.embed_query("why?")
    assert np.array_equal(first, second)
    assert np.array_equal(first, HashingEmbedder().embed_query("why?"))
    assert counting.queries == 1
    assert (embedder.model, embedder.dimension) == (counting.model, counting.dimension)
    assert np.array_equal(embedder.embed(["a"]), counting.embed(["a"]))


def test_an_error_is_not_remembered() -> None:
    counting = Counting()
    counting.fails = True
    embedder = CachedQueries(counting)
    with pytest.raises(EmbeddingFailed):
        embedder.embed_query("why?")
    counting.fails = False
    assert np.isfinite(embedder.embed_query("why?")).all()


def test_questions_asked_long_ago_are_forgotten() -> None:
    counting = Counting()
    embedder = CachedQueries(counting, questions=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        embedder.embed_query(text)
    assert counting.queries == 4


@pytest.mark.parametrize("length", [0, 3, 4, -4, 4000])
def test_bytes_that_are_no_vector_are_ignored(length: int) -> None:
    embedder = CachedQueries(Counting())
    wanted = 4 * embedder.dimension
    embedder.hold("why?", b"\x00" * (wanted + length if length < 0 else length))
    assert embedder.held("why?") is None
    embedder.hold("why?", np.full(embedder.dimension, np.nan, dtype="<f4").tobytes())
    assert embedder.held("why?") is None
    vector = HashingEmbedder().embed_query("why?")
    embedder.hold("why?", vector.astype("<f4").tobytes())
    assert np.array_equal(embedder.embed_query("why?"), vector)
