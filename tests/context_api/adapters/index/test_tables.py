"""What only the tables promise: tenants apart, several processes at once, restarts, bounds."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psutil
import psycopg
import pytest

from context_api.adapters.index import SqlIndexes, SqlVectorWork, open_pool
from context_api.adapters.index.database import Pool
from context_api.adapters.index.leases import SqlLeases
from context_api.adapters.index.state import lock, read_generations
from context_api.adapters.index.writing import prepare_batch, write
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.errors import Busy, ContextError, Unavailable
from memory_core.recall.ports import IndexRecord, Progress
from memory_core.recall.stored import FORMAT, TOMBSTONES
from memory_core.records import Kind, Ref
from tests.context_api.adapters.index.support import OTHER, TABLES, TENANT, IndexDatabase
from tests.memory_core.local_index.test_states import rows
from tests.memory_core.recall.records import PROJECT, identity, opened, record


def some(count: int, mark: str = "") -> list[IndexRecord]:
    return [
        record(f"r{n}", f"text {n} {mark}", position=n, session=f"s{n % 3}") for n in range(count)
    ]


def test_a_transaction_without_a_tenant_sees_nothing(database: IndexDatabase, pool: Pool) -> None:
    indexes = SqlIndexes(pool)
    indexes.use_model("m", 8)
    indexes.of(TENANT).apply(PROJECT, 1, some(3), [], after_seq=0)
    with psycopg.connect(database.url) as connection:
        for table in TABLES:
            row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            assert row == (0,), table
        connection.execute("SELECT set_config('memctx.all_tenants', 'on', true)")
        seen = connection.execute("SELECT count(*) FROM index_state").fetchone()
        assert seen == (1,)
        for table in TABLES[1:]:
            row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            assert row == (0,), table
        changed = connection.execute("UPDATE index_state SET applied_seq = 9").rowcount
        assert changed == 0
        refused = "INSERT INTO index_state (tenant_id, project_id) VALUES (%s, %s)"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(refused, (OTHER, PROJECT))


def test_tenants_share_no_rows_and_no_vectors(database: IndexDatabase, pool: Pool) -> None:
    indexes = SqlIndexes(pool)
    embedder = HashingEmbedder(16)
    indexes.use_model(embedder.model, 16)
    for tenant in (TENANT, OTHER):
        database.add_project(PROJECT, 1, tenant)
        assert indexes.of(tenant).progress(PROJECT) == Progress()
        indexes.of(tenant).apply(PROJECT, 1, some(4), [], after_seq=0)
        claim = SqlLeases(indexes).claim("w")
        assert claim is not None
        assert claim.tenant_id == tenant
        waiting = SqlVectorWork(indexes).waiting(claim, 10)
        # What one tenant has embedded tells nothing about the texts of another.
        assert len(waiting) == 4
        vectors = [(chunk.content_hash, embedder.embed(["x"])[0]) for chunk in waiting]
        SqlVectorWork(indexes).put_vectors(claim, vectors)
    indexes.of(TENANT).reset(PROJECT)
    assert indexes.of(TENANT).view(PROJECT).live == 0
    assert indexes.of(OTHER).view(PROJECT).live == 4
    assert database.count("chunk_vectors") == 8


def test_processes_that_apply_the_same_log_at_once_apply_it_once(database: IndexDatabase) -> None:
    """Each takes its progress, cuts the batch and applies it, as the indexers of a hub do."""
    log = [(n, some(12, str(n)), [Ref(Kind.MESSAGE, identity(f"r{n % 12}"))]) for n in range(20)]

    def index(seed: int) -> None:
        chance = random.Random(seed)
        with open_pool(database.url, size=2) as pool:
            store = SqlIndexes(pool).of(TENANT)
            while (at := store.progress(PROJECT).lexical_seq) < len(log):
                step = chance.randint(1, 3)
                last = min(at + step, len(log))
                gone = log[last - 1][2]
                records = [one for one in log[last - 1][1] if one.id != gone[0].id]
                try:
                    store.apply(PROJECT, last, records, gone, after_seq=at)
                except (Unavailable, Busy):
                    continue
                assert store.view(PROJECT).live >= 11

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(index, seed) for seed in range(4)]:
            done.result(120)
    gone = log[-1][2][0].id
    with open_pool(database.url, size=1) as pool, opened() as fresh:
        fresh.apply(PROJECT, 20, [one for one in log[-1][1] if one.id != gone], [])
        assert rows(SqlIndexes(pool).of(TENANT).view(PROJECT)) == rows(fresh.view(PROJECT))
    assert database.count("index_units", "alive") == 11


def test_projects_that_share_texts_are_written_at_once(database: IndexDatabase) -> None:
    """Each frees and finds texts of the other: no deadlock is told, no vector is lost."""
    embedder = HashingEmbedder(16)
    projects = [identity(f"project {n}") for n in range(3)]
    for project in projects:
        database.add_project(project, 1_000)
    texts = [f"shared text {n}" for n in range(10)]
    start = threading.Barrier(len(projects))

    def write(project: str) -> None:
        chance = random.Random(project)
        with open_pool(database.url, size=2) as pool:
            indexes = SqlIndexes(pool)
            indexes.use_model(embedder.model, 16)
            store = indexes.of(TENANT)
            start.wait(30)
            for seq in range(30):
                chosen = [
                    record(f"r{n}", chance.choice(texts), position=n, project_id=project)
                    for n in range(8)
                ]
                store.apply(project, seq + 1, chosen, [], after_seq=seq)

    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(write, project) for project in projects]:
            done.result(120)
    with open_pool(database.url, size=2) as pool:
        indexes = SqlIndexes(pool)
        indexes.use_model(embedder.model, 16)
        work, leases = SqlVectorWork(indexes), SqlLeases(indexes)
        while True:
            claim = leases.claim("w")
            assert claim is not None
            waiting = work.waiting(claim, 50)
            work.put_vectors(claim, [(c.content_hash, embedder.embed(["x"])[0]) for c in waiting])
            leases.release(claim, succeeded=True)
            if all(indexes.of(TENANT).progress(project).pending == 0 for project in projects):
                break
        for project in projects:
            view = indexes.of(TENANT).view(project)
            assert view.live == 8
            assert (view.chunks.embedded == view.chunks.alive).all()


def test_a_record_that_cannot_be_cut_holds_up_no_other(database: IndexDatabase, pool: Pool) -> None:
    store = SqlIndexes(pool).of(TENANT)
    broken = record("bad", "parser", created_at="yesterday")
    store.apply(PROJECT, 1, [*some(3), broken], [], after_seq=0)
    assert store.view(PROJECT).live == 3
    assert store.progress(PROJECT).dead == 1
    assert str(database.run("SELECT reason FROM index_dead")[0][0]).startswith("invalid_time")
    store.apply(PROJECT, 2, [record("bad", "parser")], [], after_seq=1)
    assert store.view(PROJECT).live == 4
    assert store.progress(PROJECT).dead == 0


def test_views_follow_after_the_traces_of_the_gone_were_dropped(pool: Pool) -> None:
    busy, idle = SqlIndexes(pool).of(TENANT), SqlIndexes(pool).of(TENANT)
    many = some(TOMBSTONES + 100)
    busy.apply(PROJECT, 1, many, [], after_seq=0)
    assert idle.view(PROJECT).live == len(many)
    gone = [Ref(Kind.MESSAGE, one.id) for one in many[10:]]
    busy.apply(PROJECT, 2, [], gone, after_seq=1)
    busy.apply(PROJECT, 3, some(5, "again"), [], after_seq=2)
    expected = [*some(5, "again"), *many[5:10]]
    with opened() as fresh:
        fresh.apply(PROJECT, 3, expected, [])
        assert rows(idle.view(PROJECT)) == rows(fresh.view(PROJECT))
        assert rows(busy.view(PROJECT)) == rows(fresh.view(PROJECT))


def test_a_newer_release_is_not_overwritten_and_an_older_one_is_built_anew(
    database: IndexDatabase, pool: Pool
) -> None:
    store = SqlIndexes(pool).of(TENANT)
    store.apply(PROJECT, 5, some(3), [], after_seq=0)
    database.run("UPDATE index_state SET format = %s", FORMAT + 1)
    with pytest.raises(Unavailable, match="newer"):
        store.apply(PROJECT, 6, some(1), [], after_seq=5)
    database.run("UPDATE index_state SET format = %s", FORMAT - 1)
    assert store.progress(PROJECT) == Progress()
    store.apply(PROJECT, 2, some(1), [], after_seq=0)
    assert store.view(PROJECT).live == 1
    assert store.progress(PROJECT).lexical_seq == 2


def test_views_are_kept_up_to_a_number_of_bytes(pool: Pool) -> None:
    indexes = SqlIndexes(pool, memory_bytes=1)
    store = indexes.of(TENANT)
    for name in ("one", "two"):
        project = identity(name)
        records = [record("a", "parser", project_id=project)]
        store.apply(project, 1, records, [], after_seq=0)
        assert store.view(project).live == 1
    assert len(indexes.views._loaded) == 1
    assert store.view(identity("one")).live == 1


def test_a_restarted_server_is_found_again(database: IndexDatabase) -> None:
    if database.server.process is None:
        pytest.skip("the server was not started here, so it cannot be stopped")
    with ExitStack() as stack:
        pool = stack.enter_context(open_pool(database.url, size=2))
        store = SqlIndexes(pool).of(TENANT)
        store.apply(PROJECT, 1, some(3), [], after_seq=0)
        database.server.stop()
        with pytest.raises((Unavailable, Busy)):
            store.view(PROJECT)
        database.server.start()
        assert store.view(PROJECT).live == 3
        assert store.progress(PROJECT).lexical_seq == 1


def test_no_connection_that_a_restart_closed_refuses_a_search(database: IndexDatabase) -> None:
    if database.server.process is None:
        pytest.skip("the server was not started here, so it cannot be stopped")
    with open_pool(database.url, size=4) as pool:
        store = SqlIndexes(pool).of(TENANT)
        store.apply(PROJECT, 1, some(3), [], after_seq=0)
        with ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(pool.connection())
        database.server.stop()
        database.server.start()
        assert [store.progress(PROJECT).lexical_seq for _ in range(8)] == [1] * 8


def test_a_server_that_stands_still_holds_no_search_for_long(database: IndexDatabase) -> None:
    server = database.server
    if server.process is None:
        pytest.skip("the server was not started here, so it cannot be stopped")
    with open_pool(database.url, size=2) as pool:
        store = SqlIndexes(pool).of(TENANT)
        store.apply(PROJECT, 1, some(3), [], after_seq=0)
        assert store.view(PROJECT).live == 3
        stopped = psutil.Process(server.process.pid)
        everyone = [stopped, *stopped.children()]
        for process in everyone:
            process.suspend()
        try:
            began = time.monotonic()
            with pytest.raises(Unavailable):
                store.view(PROJECT)
            with pytest.raises(ContextError):
                store.progress(PROJECT)
            assert time.monotonic() - began < 10
        finally:
            for process in everyone:
                process.resume()
        assert store.view(PROJECT).live == 3
        assert store.progress(PROJECT).lexical_seq == 1


def test_rows_read_before_another_process_was_faster_do_not_replace_its_own(pool: Pool) -> None:
    slow, fast = SqlIndexes(pool).of(TENANT), SqlIndexes(pool).of(TENANT)
    stale = some(3, "as it was")
    fast.apply(PROJECT, 10, some(3, "as it is now"), [], after_seq=0)
    slow.apply(PROJECT, 5, stale, [], after_seq=0)
    with opened() as fresh:
        fresh.apply(PROJECT, 10, some(3, "as it is now"), [])
        assert rows(slow.view(PROJECT)) == rows(fresh.view(PROJECT))
    assert slow.progress(PROJECT).lexical_seq == 10


def test_a_vector_that_another_project_has_just_found_is_not_deleted(
    database: IndexDatabase, pool: Pool
) -> None:
    embedder, other = HashingEmbedder(16), identity("other project")
    indexes = SqlIndexes(pool)
    indexes.use_model(embedder.model, 16)
    store = indexes.of(TENANT)
    database.add_project(PROJECT, 1)
    store.apply(PROJECT, 1, [record("a", "the same text")], [], after_seq=0)
    store.apply(other, 1, [record("x", "another", project_id=other)], [], after_seq=0)
    claim = SqlLeases(indexes).claim("w")
    assert claim is not None
    work = SqlVectorWork(indexes)
    vectors = [(c.content_hash, embedder.embed(["x"])[0]) for c in work.waiting(claim, 5)]
    work.put_vectors(claim, vectors)

    with ThreadPoolExecutor(1) as threads:
        with indexes.database.transaction(TENANT) as connection:
            locked = lock(connection, TENANT, other)
            batch = prepare_batch([record("b", "the same text", project_id=other)], [])
            write(locked, batch, 2, read_generations(locked), keep_gone=False)
            gone = [Ref(Kind.MESSAGE, identity("a"))]
            freeing = threads.submit(store.apply, PROJECT, 2, [], gone, after_seq=1)
            end = time.monotonic() + 20
            while not freeing.done() and not database.run(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            ):
                assert time.monotonic() < end
        freeing.result(20)
    assert database.count("chunk_vectors") == 1
    view = store.view(other)
    assert view.chunks.embedded.tolist() == [False, True]
