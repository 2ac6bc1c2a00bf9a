"""Care of a vector index by what PostgreSQL really holds, beside the workers that write it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from context_api.adapters.index import (
    SqlIndexes,
    SqlLeases,
    SqlVectorPush,
    SqlVectorWork,
    open_pool,
)
from context_api.adapters.index.care import SqlIndexSource
from context_api.adapters.index.database import Pool
from context_api.adapters.vector.memory import MemoryVectors
from context_api.application.index_care import mend_index, rebuild, repair, verify
from context_api.application.index_care_source import Generation
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.errors import Busy, Conflict, Unavailable
from memory_core.recall.ports import IndexRecord
from memory_core.records import Kind, Ref
from tests.context_api.adapters.index.contract.stores import HeldRows
from tests.context_api.adapters.index.support import TENANT, IndexDatabase, index_database
from tests.memory_core.recall.records import PROJECT, identity, record
from tests.support.servers.fixtures import postgres_server  # noqa: F401
from tests.support.servers.postgres import PostgresServer

KINDS = (Kind.MESSAGE, Kind.CHECKPOINT, Kind.PATTERN, Kind.SESSION)


@dataclass
class World:
    """A project in PostgreSQL with its worker, and a vector index that may differ."""

    database: IndexDatabase
    pool: Pool
    held: HeldRows
    vectors: MemoryVectors
    embedder: HashingEmbedder = field(default_factory=lambda: HashingEmbedder(16))
    records: dict[str, IndexRecord] = field(default_factory=dict)
    seq: int = 0

    @property
    def source(self) -> SqlIndexSource:
        return SqlIndexSource(self.held.indexes.database, TENANT, PROJECT, wait_s=0)

    def write(self, *names: str, deleted: tuple[str, ...] = ()) -> None:
        """Indexes records, and forgets others, without vectors."""
        made = [
            record(name, f"about {name}", kind=KINDS[len(name) % 4], position=self.seq)
            for name in names
        ]
        gone = [Ref(KINDS[len(name) % 4], identity(name)) for name in deleted]
        self.records.update((one.id, one) for one in made)
        self.held.store.apply(PROJECT, self.seq + 1, made, gone, after_seq=self.seq)
        self.seq += 1

    def embed(self) -> None:
        while self.held.embed(self.records, self.embedder, 100):
            continue

    def push(self) -> int:
        """Does what a worker does for the vector server; returns what an audit found wrong."""
        pushing = SqlVectorPush(self.held.indexes, self.vectors)
        self.held.claimed(pushing.push)
        self.database.run("UPDATE index_generations SET audited_at = NULL")
        return self.held.claimed(pushing.audit)


@pytest.fixture
def world(postgres_server: PostgresServer) -> Iterator[World]:  # noqa: F811
    with index_database(postgres_server) as database, open_pool(database.url, size=4) as pool:
        held, vectors = HeldRows(database, pool, PROJECT), MemoryVectors()
        held.indexes = SqlIndexes(pool, vectors)
        held.store, held.work = held.indexes.of(TENANT), SqlVectorWork(held.indexes)
        made = World(database, pool, held, vectors)
        held.use(made.embedder)
        made.write("a", "bb", "ccc", "dddd", "e")
        made.embed()
        yield made


def test_care_and_the_worker_mean_the_same(world: World) -> None:
    assert repair(world.vectors, world.source)["upserted"] == 5
    assert world.push() == 0
    world.write("new", deleted=("bb",))
    report = verify(world.vectors, world.source)
    assert (report["orphans"], report["waiting"], report["missing"]) == (1, 1, 0)
    world.embed()
    world.push()
    assert verify(world.vectors, world.source)["verdict"] == "ok"
    assert verify(world.vectors, world.source)["expected"] == 5


def test_a_rebuild_gets_a_new_number_under_which_all_goes_on(world: World) -> None:
    repair(world.vectors, world.source)
    report = rebuild(world.vectors, world.source, grace=0)
    assert (report["from_generation"], report["generation"], report["held"]) == (1, 2, 5)
    assert {one.generation for one in world.vectors.spaces(TENANT, PROJECT)} == {2}
    world.write("later", deleted=("a",))
    world.embed()
    assert world.push() == 0
    assert verify(world.vectors, world.source)["verdict"] == "ok"
    reader = SqlIndexes(world.pool, world.vectors, exact_chunks=0)
    reader.use_model(world.embedder.model, 16)
    store = reader.of(TENANT)
    query = world.embedder.embed_query("about later")
    near = store.similarities(store.view(PROJECT), world.embedder.model, query)
    assert near is not None
    assert near.max() > 0.99
    assert mend_index(world.vectors, world.source, grace=0)["done"] == "nothing"


def test_a_search_finds_the_generation_before_and_after_a_rebuild(world: World) -> None:
    repair(world.vectors, world.source)
    reader = SqlIndexes(world.pool, world.vectors, exact_chunks=0)
    reader.use_model(world.embedder.model, 16)
    store = reader.of(TENANT)
    query = world.embedder.embed_query("about ccc")
    for _ in range(2):
        near = store.similarities(store.view(PROJECT), world.embedder.model, query)
        assert near is not None
        assert near.max() > 0.99
        rebuild(world.vectors, world.source, grace=0)


def test_the_indexer_and_care_keep_out_of_each_others_way(world: World) -> None:
    repair(world.vectors, world.source)
    world.database.add_project(PROJECT, 99)
    leases = SqlLeases(world.held.indexes)
    with world.source.paused():
        assert leases.claim("worker") is None
    claim = leases.claim("worker")
    assert claim is not None
    with pytest.raises(Busy):
        repair(world.vectors, world.source)
    leases.release(claim, succeeded=False)
    assert repair(world.vectors, world.source)["verdict"] == "ok"


def test_a_switch_needs_the_pause_the_generation_and_the_model(world: World) -> None:
    source = world.source
    now = source.generation()
    with pytest.raises(Conflict, match="paused"):
        source.switch(now, now._replace(number=7))
    with source.paused():
        with pytest.raises(Conflict, match="model"):
            source.switch(now, Generation(7, "another", 16))
        with pytest.raises(Conflict, match="in use"):
            source.switch(now._replace(number=6), now._replace(number=7))
        world.database.run("UPDATE index_state SET fence = fence + 1, lease_owner = 'thief'")
        with pytest.raises(Conflict, match="taken"):
            source.switch(now, now._replace(number=7))
    assert source.generation() == now
    world.database.run("UPDATE index_state SET lease_owner = NULL, last_generation = 41")
    assert rebuild(world.vectors, source, grace=0)["generation"] == 42
    assert source.unused_number() == 43


def test_a_project_that_nothing_was_embedded_of(world: World) -> None:
    world.database.empty()
    with pytest.raises(Unavailable, match="no vectors yet"):
        verify(world.vectors, world.source)
