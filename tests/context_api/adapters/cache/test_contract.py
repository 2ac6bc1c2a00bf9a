"""What every cache does, whether it lives in the process, in Redis, on a cluster, or in both."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

import pytest
import redis

from context_api.adapters.cache.memory import ENTRY_BYTES, LARGEST_SHARE, MemoryCache
from context_api.adapters.cache.redis_cache import RedisCache
from context_api.adapters.cache.redis_link import COMMANDS, RedisLink
from context_api.adapters.cache.tiered import TieredCache
from context_api.application.caching import Cache, CacheKey, Kept
from tests.support.servers.redis import RedisServer

SECRET = b"s" * 32
ROOM = 1024 * 1024
BUDGET_S = 2.0
"""Longer than in use: here it matters what is answered, not how fast a busy machine is."""

Opened = Callable[[], AbstractAsyncContextManager[Cache]]


def limited_user(server: RedisServer) -> str:
    """Returns the URL of a user who may do only what the cache needs."""
    name, password = f"user{secrets.token_hex(4)}", secrets.token_hex(8)
    admin = redis.Redis.from_url(server.url)
    admin.acl_setuser(
        name,
        enabled=True,
        passwords=[f"+{password}"],
        keys=["memctx:*"],
        commands=["-@all", *(f"+{command}" for command in COMMANDS)],
    )
    admin.close()
    address = urlsplit(server.url)
    return f"redis://{name}:{password}@{address.hostname}:{address.port}/0"


@pytest.fixture(params=["memory", "redis", "limited user", "cluster", "tiered"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """Opens a cache of each kind."""
    urls: dict[str, Callable[[], str]] = {
        "redis": lambda: request.getfixturevalue("redis_server").url,
        "limited user": lambda: limited_user(request.getfixturevalue("redis_server")),
        "cluster": lambda: request.getfixturevalue("cluster_url"),
        "tiered": lambda: request.getfixturevalue("redis_server").url,
    }
    url = urls[request.param]() if request.param in urls else None

    @asynccontextmanager
    async def open_() -> AsyncIterator[Cache]:
        near = MemoryCache(ROOM)
        made: Cache = near
        if url is not None:
            made = RedisCache(RedisLink(url, budget_s=BUDGET_S), secret=SECRET)
        if request.param == "tiered":
            made = TieredCache(near, made)
        try:
            yield made
        finally:
            await made.close()

    return open_


def key(cache: str = "search", owner: str = "t:p") -> CacheKey:
    return CacheKey(cache, owner, secrets.token_hex(16))


def with_cache(opened: Opened, act: Callable[[Cache], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened() as cache:
            await act(cache)

    asyncio.run(run())


def test_a_value_comes_back_under_its_key_only(opened: Opened) -> None:
    async def act(cache: Cache) -> None:
        mine, other = key(), key()
        await cache.set(mine, b"value \x00\xff", 60)
        assert await cache.get(mine) == b"value \x00\xff"
        assert await cache.get(other) is None
        for changed in (
            CacheKey("context", mine.owner, mine.digest),
            CacheKey(mine.cache, "t2:p", mine.digest),
        ):
            assert await cache.get(changed) is None

    with_cache(opened, act)


def test_several_values_are_kept_at_once_and_the_second_is_only_a_substitute(
    opened: Opened,
) -> None:
    async def act(cache: Cache) -> None:
        one, other, absent = key(), key("query_vector", "t:queries"), key()
        await cache.keep([])
        await cache.keep([Kept(one, b"one", 60), Kept(other, b"other \xff", 60)])
        assert await cache.find(one, other) == (b"one", None)
        assert await cache.find(absent, other) == (None, b"other \xff")
        assert await cache.find(other, one) == (b"other \xff", None)
        assert await cache.find(absent, key()) == (None, None)
        found = {name: (at.hits, at.misses, at.stores) for name, at in cache.counts.items()}
        assert found == {"search": (1, 3, 1), "query_vector": (2, 0, 1)}

    with_cache(opened, act)


def test_of_two_values_each_is_found_where_it_lies(opened: Opened) -> None:
    async def act(cache: Cache) -> None:
        one, other = key(), key("query_vector", "t:queries")
        await cache.keep([Kept(one, b"one", 60), Kept(other, b"other", 60)])
        async with opened() as second:
            wanted = (None, b"other") if cache.shared else (None, None)
            assert await second.find(key(), other) == wanted
            # Now it is with the second one, and what is not there is still looked for afar.
            assert await second.find(key(), other) == wanted
            assert await second.find(one, other) == ((b"one", None) if cache.shared else wanted)

    with_cache(opened, act)


def test_the_last_value_counts(opened: Opened) -> None:
    async def act(cache: Cache) -> None:
        mine = key()
        await cache.set(mine, b"one", 60)
        await cache.set(mine, b"two", 60)
        assert await cache.get(mine) == b"two"

    with_cache(opened, act)


def test_an_empty_value_is_a_value(opened: Opened) -> None:
    async def act(cache: Cache) -> None:
        mine = key()
        await cache.set(mine, b"", 60)
        assert await cache.get(mine) == b""

    with_cache(opened, act)


def test_a_value_ends_with_its_time(opened: Opened) -> None:
    async def act(cache: Cache) -> None:
        mine = key()
        await cache.set(mine, b"short", 0.05)
        async with asyncio.timeout(5):
            # Redis tells nobody when a key ends.
            while await cache.get(mine) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    with_cache(opened, act)


def test_a_value_of_any_size_is_kept_or_not_but_never_in_part(opened: Opened) -> None:
    async def act(cache: Cache) -> None:
        for size in (1, 10_000, ROOM // LARGEST_SHARE - ENTRY_BYTES, ROOM, 4 * ROOM):
            mine, value = key(), secrets.token_bytes(size)
            await cache.set(mine, value, 60)
            assert await cache.get(mine) in {None, value}
            if size <= 10_000:
                assert await cache.get(mine) == value

    with_cache(opened, act)


def test_many_at_once_get_each_their_own(opened: Opened) -> None:
    async def act(cache: Cache) -> None:
        keys = [key() for _ in range(200)]
        await asyncio.gather(*(cache.set(k, k.digest.encode(), 60) for k in keys))
        found = await asyncio.gather(*(cache.get(k) for k in keys))
        assert found == [k.digest.encode() for k in keys]

    with_cache(opened, act)


def test_calls_that_are_cut_off_leave_no_answer_behind(opened: Opened) -> None:
    async def act(cache: Cache) -> None:
        keys = [key() for _ in range(100)]
        for k in keys:
            await cache.set(k, k.digest.encode(), 60)
        for number, k in enumerate(keys):
            reading = asyncio.create_task(cache.get(k))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            other = keys[number - 1]
            assert await cache.get(other) == other.digest.encode()

    with_cache(opened, act)


def test_it_counts_by_cache(opened: Opened) -> None:
    async def act(cache: Cache) -> None:
        mine = key("search")
        # Figures are taken from what was looked up once.
        counted = cache.counts
        await cache.get(mine)
        await cache.set(mine, b"x", 60)
        await cache.get(mine)
        await cache.get(key("context"))
        search, context = counted["search"], counted["context"]
        assert (search.hits, search.misses, search.stores, search.errors) == (1, 1, 1, 0)
        assert (context.hits, context.misses, context.stores) == (0, 1, 0)

    with_cache(opened, act)
