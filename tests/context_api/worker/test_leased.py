"""The leased indexer over a real database: words, vectors, bad texts, models, the vector server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from context_api.adapters.vector.memory import MemoryVectors
from context_api.application.index_work import LeaseLost
from context_api.application.indexing import indexer_of
from context_api.application.searching import search
from context_api.application.vectors import Space, VectorItem
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.embedding.port import Vectors
from memory_core.errors import EmbeddingFailed, Unavailable
from memory_core.recall.ports import Progress
from memory_core.requests import SearchRequest
from tests.context_api.adapters.index.support import IndexDatabase
from tests.context_api.worker.hub import ME, TENANT, Hub, hub, in_loop

PROJECT = "acme/api"
TEXTS = [f"the parser broke on tabs in module_{number}.ex" for number in range(12)]


class Counting(HashingEmbedder):
    """Remembers what it was asked to embed; refuses texts with "poison"."""

    def __init__(self, dimension: int = 32, name: str = "counting") -> None:
        super().__init__(dimension)
        self.asked: list[str] = []
        self.model = f"{name}-{dimension}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        if any("poison" in text for text in texts):
            raise EmbeddingFailed("that text is too much")
        self.asked.extend(texts)
        vectors = super().embed(texts)
        for row, text in enumerate(texts):
            if "not finite" in text:
                vectors[row] = np.nan
        return vectors


class Flaky(MemoryVectors):
    """A vector server that can be away, or come back empty."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False

    def wipe(self, *, seen: bool = False) -> None:
        self._spaces.clear()
        self._matrices.clear()
        self.losses += seen

    def held(self) -> int:
        return sum(len(space) for space in self._spaces.values())

    def _there(self) -> None:
        if self.away:
            raise Unavailable("the vector server does not answer")

    def upsert(self, space: Space, items: Sequence[VectorItem]) -> None:
        self._there()
        super().upsert(space, items)

    def delete(self, space: Space, ids: Sequence[str]) -> None:
        self._there()
        super().delete(space, ids)

    def nearest(
        self, space: Space, query: NDArray[np.float32], limit: int
    ) -> list[tuple[str, float]]:
        self._there()
        return super().nearest(space, query, limit)

    def hashes(self, space: Space) -> Iterator[tuple[str, str]]:
        self._there()
        return super().hashes(space)

    def check(self) -> None:
        self._there()


async def project_id(one: Hub, slug: str = PROJECT) -> str:
    async with one.services.uow.glance(indexer_of(TENANT)) as records:
        found = await records.project(slug)
    assert found is not None
    return str(found["id"])


async def found(one: Hub, query: str, **more: object) -> tuple[list[str], list[object]]:
    answer = await search(one.services, ME, SearchRequest(query=query, limit=5, **more))  # type: ignore[arg-type]
    return [hit["id"] for hit in answer["hits"]], answer["degraded"]  # type: ignore[union-attr,index,return-value]


async def progress(one: Hub, slug: str = PROJECT) -> Progress:
    return await one.services.indexes.progress(TENANT, await project_id(one, slug))


@in_loop
async def test_all_that_was_written_gets_words_and_vectors(url: str) -> None:
    async with hub(url) as one:
        await one.save(PROJECT, TEXTS)
        await one.drain()
        reached = await progress(one)
        assert (reached.pending, reached.dead) == (0, 0)
        assert reached.vector_seq == reached.lexical_seq > 0
        hits, degraded = await found(one, "module_7.ex")
        assert hits
        assert degraded == []
        assert await one.drain() == 0


@in_loop
async def test_a_search_finds_what_no_worker_has_seen_yet(url: str) -> None:
    async with hub(url) as api, hub(url) as other:
        await api.save(PROJECT, TEXTS)
        hits, _ = await found(other, "module_7.ex")
        assert hits


@in_loop
async def test_one_text_is_embedded_once_for_all_projects(url: str) -> None:
    embedder = Counting()
    async with hub(url, embedder=embedder) as one:
        await one.save(PROJECT, TEXTS)
        await one.save("acme/web", TEXTS)
        await one.drain()
        assert sorted(embedder.asked) == sorted(set(embedder.asked))
        for slug in (PROJECT, "acme/web"):
            assert (await progress(one, slug)).pending == 0


@in_loop
async def test_a_text_that_cannot_be_embedded_holds_up_no_other(
    url: str, database: IndexDatabase
) -> None:
    async with hub(url, embedder=Counting()) as one:
        await one.save(PROJECT, [*TEXTS, "poison in the well", "numbers that are not finite"])
        await one.drain()
        reached = await progress(one)
        assert (reached.pending, reached.dead) == (0, 2)
        rows = database.run("SELECT reason FROM index_dead ORDER BY reason")
        assert [str(row[0]).split(":")[0] for row in rows] == [
            "embedding_failed",
            "the embedder gave numbers that are not finite",
        ]
        hits, _ = await found(one, "poison in the well")
        assert hits
        # A day later they are tried again.
        database.run("UPDATE index_dead SET at = at - interval '25 hours'")
        assert await one.indexer.turn()
        rows = database.run("SELECT min(attempts) FROM index_dead")
        assert rows == [(2,)]


@in_loop
async def test_erasing_leaves_neither_words_nor_vectors(url: str, database: IndexDatabase) -> None:
    vectors = Flaky()
    async with hub(url, vectors=vectors) as one:
        session = await one.save(PROJECT, TEXTS)
        await one.drain()
        assert vectors.held() == database.count("chunks") == 13
        await one.erase(session)
        await one.drain()
        for table in ("chunks", "chunk_states", "chunk_vectors"):
            assert database.count(table) == 0
        assert database.count("index_units", "alive") == 0
        assert vectors.held() == 0


@in_loop
async def test_another_model_is_built_beside_and_then_asked(
    url: str, database: IndexDatabase
) -> None:
    old, new = Counting(32, "old"), Counting(48, "new")
    async with hub(url, embedder=old) as before, hub(url, embedder=new, batch=4) as after:
        await before.save(PROJECT, TEXTS)
        await before.drain()
        name = await project_id(before)
        await asyncio.to_thread(after.services.indexes.try_embedder)

        def asked(one: Hub, embedder: Counting) -> NDArray[np.float32] | None:
            store = one.indexes.of(TENANT)
            query = embedder.embed_query("tabs")
            return store.similarities(store.view(name), embedder.model, query)

        claim = await asyncio.to_thread(after.leases.claim, "w")
        assert claim is not None
        after.work.prepare(claim)
        some = after.work.waiting(claim, 4)
        after.work.put_vectors(claim, [(chunk.content_hash, new.embed(["x"])[0]) for chunk in some])
        # Half built, the new one is not asked, and the old one is as it was.
        assert not after.work.finish(claim)
        assert asked(after, new) is None
        assert asked(before, old) is not None
        assert not np.isnan(asked(before, old)).any()  # type: ignore[arg-type]
        after.leases.release(claim, succeeded=True)
        await after.drain()
        assert not np.isnan(asked(after, new)).any()  # type: ignore[arg-type]
        assert not np.isnan(asked(before, old)).any()  # type: ignore[arg-type]
        assert asked(after, old) is None
        # A day after its last use the old one goes.
        database.run("UPDATE index_generations SET used_at = now() - interval '25 hours'")
        await after.save(PROJECT, ["something new"])
        await after.drain()
        assert database.count("index_generations") == 1
        assert asked(before, old) is None
        after.work.purge(TENANT)
        assert database.count("chunk_vectors", "model LIKE 'old%'") == 0


@in_loop
async def test_a_vector_server_that_is_away_delays_nothing_and_catches_up(
    url: str, database: IndexDatabase
) -> None:
    vectors = Flaky()
    async with hub(url, vectors=vectors, exact_chunks=5) as one:
        session = await one.save(PROJECT, TEXTS[:6])
        await one.drain()
        assert vectors.held() == 7
        hits, degraded = await found(one, "the parser broke on tabs")
        assert hits
        assert degraded == []
        vectors.away = True
        await one.save(PROJECT, TEXTS[6:])
        await one.erase(session)
        await one.drain()
        reached = await progress(one)
        assert reached.pending == 0
        hits, degraded = await found(one, "module_9.ex")
        assert hits
        assert degraded == ["vector"]
        vectors.away = False
        assert one.push is not None
        one.push.watch.probe_soon()
        await one.drain()
        held = {row[0] for row in database.run("SELECT number::text FROM chunks")}
        assert {item for space in vectors._spaces.values() for item in space} == held
        assert (await found(one, "module_9.ex"))[1] == []


@in_loop
async def test_a_vector_server_that_comes_back_empty_is_filled_again(
    url: str, database: IndexDatabase
) -> None:
    vectors = Flaky()
    async with hub(url, vectors=vectors, exact_chunks=5) as one:
        await one.save(PROJECT, TEXTS)
        await one.drain()
        vectors.wipe()
        assert (await found(one, "module_9.ex"))[1] == ["vector"]
        vectors.away = True
        assert one.push is not None
        one.push.watch.probe_soon()
        assert not one.push.probe()
        vectors.away = False
        one.push.watch.probe_soon()
        await one.drain()
        assert vectors.held() == database.count("chunks")
        assert (await found(one, "module_9.ex"))[1] == []


@in_loop
async def test_a_vector_server_that_forgot_while_nobody_looked_is_filled_again(
    url: str, database: IndexDatabase
) -> None:
    vectors = Flaky()
    async with hub(url, vectors=vectors) as one:
        await one.save(PROJECT, TEXTS)
        await one.drain()
        assert await one.drain() == 0
        vectors.wipe(seen=True)
        assert one.push is not None
        one.push.watch.probe_soon()
        await one.drain()
        assert vectors.held() == database.count("chunks")
        vectors.wipe()
    async with hub(url, vectors=vectors) as begun:
        await begun.drain()
        assert vectors.held() == database.count("chunks")


@in_loop
async def test_what_the_vector_server_has_wrongly_is_mended(
    url: str, database: IndexDatabase
) -> None:
    vectors = Flaky()
    async with hub(url, vectors=vectors) as one:
        await one.save(PROJECT, TEXTS)
        await one.drain()
        space = next(iter(vectors._spaces))
        held = vectors._spaces[space]
        some = sorted(held)
        removed = held.pop(some[0])
        held[some[1]] = held[some[1]]._replace(content_hash="00" * 16)
        held["999999"] = removed._replace(id="999999")
        stale = space._replace(generation=99)
        vectors._spaces[stale] = {"1": removed}
        database.run("UPDATE index_generations SET audited_at = now() - interval '1 hour'")
        await one.drain()
        expected = dict(database.run("SELECT number::text, encode(hash, 'hex') FROM chunks"))
        assert dict(vectors.hashes(space)) == expected
        assert stale not in vectors._spaces


@in_loop
async def test_a_lease_keeps_others_away_until_it_ends(url: str) -> None:
    async with hub(url, lease_s=0.3) as one, hub(url) as other:
        await one.save(PROJECT, TEXTS)
        claim = one.leases.claim("first")
        assert claim is not None
        assert other.leases.claim("second") is None
        one.leases.renew(claim)
        taken = None
        async with asyncio.timeout(10):
            while taken is None:
                taken = await asyncio.to_thread(other.leases.claim, "second")
        assert taken.fence == claim.fence + 1
        with pytest.raises(LeaseLost):
            one.leases.renew(claim)
        for late in (
            lambda: one.work.prepare(claim),
            lambda: one.work.put_vectors(claim, [("00" * 16, np.ones(32, dtype=np.float32))]),
            lambda: one.work.finish(claim),
        ):
            one.indexes.use_model("m", 32)
            with pytest.raises(LeaseLost):
                late()
        one.leases.release(claim, succeeded=True)
        assert one.leases.claim("third") is None


@in_loop
async def test_a_project_that_fails_does_not_hold_up_the_others(url: str) -> None:
    class Down(Counting):
        def embed(self, texts: Sequence[str]) -> Vectors:
            if any("bad day" in text for text in texts):
                raise EmbeddingFailed("the embedder is down")
            return super().embed(texts)

    async with hub(url, embedder=Down()) as one:
        await one.save("acme/bad", [f"a bad day {number}" for number in range(9)])
        await one.save(PROJECT, TEXTS)
        await one.drain()
        state = one.services.indexes.state
        assert (state.failures, state.last_error) == (1, "embedding_failed: the embedder is down")
        assert (await progress(one)).pending == 0
        assert (await progress(one, "acme/bad")).lexical_seq > 0


@in_loop
async def test_a_project_that_nothing_moves_does_not_keep_the_worker_busy(
    url: str, database: IndexDatabase
) -> None:
    async with hub(url) as one:
        await one.save(PROJECT, TEXTS)
        await one.drain()
        # A head without events, as after a damage that no indexing can mend.
        database.run("UPDATE projects SET head = head + 5")
        assert await one.drain() <= 1
