"""A hub over Redis: two processes share answers, and Redis' faults change none."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from context_api.adapters.cache.memory import MemoryCache
from context_api.adapters.cache.redis_cache import RedisCache
from context_api.adapters.cache.redis_link import BUDGET_S, RedisLink
from context_api.adapters.cache.tiered import TieredCache
from context_api.application import projects
from context_api.application.caching import Caches
from context_api.application.query_vectors import CachedQueries
from context_api.application.services import Services
from memory_core.operations import CreateProject
from tests.support.patience import BUSY_S
from tests.support.recall import ADA, NOON, Counting, lasting, say, search, settled
from tests.support.servers.redis import RedisServer
from tests.support.services import services_in

SECRET = b"s" * 32


@asynccontextmanager
async def two_processes(
    folder: Path, url: str, *, near: bool
) -> AsyncIterator[tuple[Services, Services]]:
    """Yields the services of two API processes over one database and one Redis.

    The database and the index are one object here; caches, embedders and flights are their own.
    """
    async with services_in(folder) as services:
        await projects.ensure(services, ADA, CreateProject(slug="acme/api"))
        links = [RedisLink(url) for _ in range(2)]
        prefix = f"memctx:{secrets.token_hex(8)}"
        made = []
        for link in links:
            far = RedisCache(link, secret=SECRET, prefix=prefix)
            store = TieredCache(MemoryCache(1024 * 1024), far) if near else far
            indexes = replace(services.indexes, embedder=CachedQueries(Counting()))
            caches = Caches(store=store, clock=lambda: NOON)
            made.append(replace(services, caches=caches, indexes=indexes))
        try:
            yield made[0], made[1]
        finally:
            for link in links:
                await link.close()


def queries(services: Services) -> int:
    embedder: Any = services.indexes.embedder
    return int(embedder._embedder.queries)


@pytest.mark.parametrize("near", [True, False])
def test_no_process_ever_answers_from_before_a_write(
    tmp_path: Path, redis_server: RedisServer, near: bool
) -> None:
    async def run() -> None:
        async with two_processes(tmp_path, redis_server.url, near=near) as (one, two):
            for number in range(6):
                writer, reader = (one, two) if number % 2 else (two, one)
                await asyncio.gather(search(reader), search(writer))
                await say(writer, f"the tokenizer has bug number{number}")
                for services in (reader, writer):
                    found = str((await search(services))["hits"])
                    assert all(f"number{n}" in found for n in range(number + 1))

    asyncio.run(run())


def test_what_one_process_computed_the_other_need_not(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    async def run() -> None:
        async with two_processes(tmp_path, redis_server.url, near=True) as (one, two):
            await say(one, "the tokenizer drops apostrophes")
            await search(one, "to index the words")
            await settled(one)
            first, second = await search(one), await search(two)
            assert lasting(first) == lasting(second)
            assert (queries(one), queries(two)) == (2, 0)
            # After a write the answer is another, the question's vector is not.
            await say(one, "the tokenizer is new")
            await search(two)
            assert queries(two) == 0

    asyncio.run(run())


async def asked(services: Services, questions: Sequence[str]) -> tuple[list[float], list[Any]]:
    """Asks one question after the other and returns the seconds that took, and the answers."""
    taken, answers = [], []
    for question in questions:
        started = time.perf_counter()
        answers.append(lasting(await search(services, question)))
        taken.append(time.perf_counter() - started)
    return taken, answers


@pytest.mark.parametrize("fault", ["stopped", "killed", "paused", "full", "garbage", "flushed"])
def test_faults_of_redis_change_no_answer(
    tmp_path: Path, own_redis: RedisServer, fault: str
) -> None:
    async def run() -> None:
        async with two_processes(tmp_path, own_redis.url, near=False) as (one, two):
            for number in range(20):
                await say(one, f"the tokenizer has bug number{number}")
            await search(one, "to index the words")
            await settled(one)
            questions = [f"tokenizer number{n}" for n in range(20)]
            usual, before = await asked(one, questions)
            break_(own_redis, fault)
            try:
                taken, after = await asked(two, questions)
            finally:
                mend(own_redis, fault)
            assert after == before
            assert max(taken) < BUDGET_S + BUSY_S
            # Most do not wait for Redis at all.
            assert statistics.median(taken) < 3 * statistics.median(usual) + BUDGET_S

    asyncio.run(run())


def break_(server: RedisServer, fault: str) -> None:
    assert server.process is not None
    if fault == "stopped":
        server.process.send_signal(signal.SIGSTOP)
    elif fault == "killed":
        server.stop(signal.SIGKILL)
    else:
        with redis.Redis.from_url(server.url) as admin:
            if fault == "paused":
                admin.client_pause(1_000)
            elif fault == "full":
                admin.set("filler", b"x" * 2_000_000)
                admin.config_set("maxmemory", "2mb")
            elif fault == "flushed":
                admin.flushall()
            else:
                for name in list(admin.scan_iter()):
                    admin.set(name, json.dumps({"hits": [], "nothing_relevant": True}))


def mend(server: RedisServer, fault: str) -> None:
    if fault == "stopped" and server.process is not None:
        server.process.send_signal(signal.SIGCONT)
