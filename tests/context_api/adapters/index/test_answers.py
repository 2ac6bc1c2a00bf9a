"""The same records give the same answers from the file and from the tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from context_api.adapters.index import SqlIndexes, SqlLeases, SqlVectorPush, SqlVectorWork
from context_api.adapters.index.database import Pool
from context_api.adapters.vector.memory import MemoryVectors
from context_api.application.indexes import IndexStore
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.ids import uuid7
from memory_core.recall.pipeline import Answer, Scope, SearchRequest, search
from tests.context_api.adapters.index.contract.stores import HeldRows, held_file
from tests.context_api.adapters.index.support import TENANT, IndexDatabase
from tests.memory_core.recall.records import IN_8_BITS, NOW, PROJECT, Store, identity

WORDS = ["parser", "cache", "token", "stale", "review", "sandbox", "deploy", "why", "config.toml"]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
QUERIES = ["why is the cache stale", "config.toml", "parser token review", "deploy last month"]


def store_of(texts: Sequence[str]) -> Store:
    store = Store()
    for number, text in enumerate(texts):
        at = f"2026-{number % 11 + 1:02d}-{number % 28 + 1:02d}T00:00:00.000000Z"
        store.message(
            f"m{number}", f"{text} {number}", number, created_at=at,
            session_id=identity(f"s{number % 3}"), author=["", "ada", "Grace"][number % 3],
        )  # fmt: skip
    return store


def ask(index: IndexStore, store: Store, query: str, embedder: HashingEmbedder | None) -> Answer:
    request = SearchRequest(
        query=query, scopes=[Scope(PROJECT)], min_score=0.0, now=NOW, limit=20, explain=True
    )
    return search(request, lexical=index, dense=index, records=store, embedder=embedder)


def told(answer: Answer) -> list[tuple[str, float, tuple[int, int], str]]:
    return [(hit.ref.id, round(hit.score, 5), hit.span, hit.snippet) for hit in answer.hits]


@pytest.mark.parametrize("embedded", [False, True])
def test_both_stores_give_the_same_answers(
    database: IndexDatabase, pool: Pool, embedded: bool
) -> None:
    embedder = HashingEmbedder(32) if embedded else None

    @given(texts=st.lists(TEXTS, min_size=1, max_size=25), again=st.lists(TEXTS, max_size=5))
    @settings(
        max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    def same(texts: list[str], again: list[str]) -> None:
        database.empty()
        first, second = store_of(texts), store_of([*again, *texts[len(again) :]])
        with held_file() as file:
            tables = HeldRows(database, pool, PROJECT)
            for held in (file, tables):
                if embedder is not None:
                    held.use(embedder)
                held.store.apply(PROJECT, 1, first.records(), [], after_seq=0)
                held.store.view(PROJECT)
                held.store.apply(PROJECT, 2, second.records(), [], after_seq=1)
                records = {record.id: record for record in second.records()}
                if embedder is not None:
                    while held.embed(records, embedder, 50):
                        pass
            for query in QUERIES:
                expected = ask(file.store, second, query, embedder)
                answer = ask(tables.store, second, query, embedder)
                assert told(answer) == told(expected)
                assert answer.degraded == expected.degraded

    same()


def test_the_nearest_of_a_vector_server_are_exact_and_the_rest_lies_below(
    database: IndexDatabase, pool: Pool
) -> None:
    embedder, vectors = HashingEmbedder(32), MemoryVectors()
    chance = np.random.default_rng(5)
    texts = [" ".join(chance.choice(WORDS, 6)) for _ in range(700)]
    store = store_of(texts)
    records = {record.id: record for record in store.records()}
    exact, near = HeldRows(database, pool, PROJECT), SqlIndexes(pool, vectors, exact_chunks=100)
    exact.use(embedder)
    near.use_model(embedder.model, embedder.dimension)
    exact.store.apply(PROJECT, 1, list(records.values()), [], after_seq=0)
    while exact.embed(records, embedder, 200):
        pass
    claim = SqlLeases(near, SqlVectorPush(near, vectors)).claim(uuid7())
    assert claim is not None
    assert SqlVectorPush(near, vectors).push(claim)
    SqlVectorWork(near).finish(claim)
    query = embedder.embed_query("why is the cache stale")
    store_near = near.of(TENANT)
    found = store_near.similarities(store_near.view(PROJECT), embedder.model, query)
    expected = exact.store.similarities(exact.store.view(PROJECT), embedder.model, query)
    assert found is not None
    assert expected is not None
    best = np.argsort(-expected)[:300]
    worst = expected[best].min()
    near_enough = np.abs(found - expected) < IN_8_BITS
    assert np.count_nonzero(near_enough) >= 300
    assert np.allclose(np.sort(found)[-300:], np.sort(expected)[-300:], atol=IN_8_BITS)
    assert not near_enough.all()
    assert (found[~near_enough] <= worst + IN_8_BITS).all()
    assert not np.isnan(found).any()
    reading = store_near.read([PROJECT])
    assert reading.view(PROJECT).live == len(texts)
    assert reading.is_still()
    store_near.apply(PROJECT, 2, [], [], after_seq=1)
    # Its vectors are of the moment at which the server is asked.
    assert not reading.is_still()
