"""Redis stopped, killed, paused, full, full of garbage: slower at most, never wrong."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from context_api.adapters.cache.breaker import FIRST_REST_S, LONGEST_REST_S, Breaker
from context_api.adapters.cache.redis_cache import RedisCache
from context_api.adapters.cache.redis_link import BUDGET_S, RedisLink, Unreachable
from context_api.application.caching import CacheKey
from tests.support.patience import BUSY_S
from tests.support.servers.redis import PASSWORD, RedisServer

SECRET = b"s" * 32


def key(number: int, cache: str = "search") -> CacheKey:
    return CacheKey(cache, "t:p", str(number))


def name(of: CacheKey) -> str:
    return f"memctx:{of.text}"


def with_link(url: str, act: Callable[[RedisLink], Awaitable[None]]) -> None:
    async def run() -> None:
        link = RedisLink(url)
        try:
            await act(link)
        finally:
            await link.close()

    asyncio.run(run())


async def answered(cache: RedisCache, of: CacheKey) -> bytes:
    """Waits until Redis gives the value again."""
    async with asyncio.timeout(30):
        while True:
            value = await cache.get(of)
            if value is not None:
                return value
            await cache.set(of, b"again", 60)
            await asyncio.sleep(0.02)


async def timed(call: Awaitable[Any]) -> float:
    started = time.perf_counter()
    await call
    return time.perf_counter() - started


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"1",
        b"garbage",
        b"1" + b"\x00" * 32,
        b"1" + b"\x00" * 32 + b'{"hits": []}',
        b'{"hits": []}',
        b"x" * 100_000,
    ],
)
def test_what_somebody_else_wrote_is_not_there(redis_server: RedisServer, garbage: bytes) -> None:
    async def act(link: RedisLink) -> None:
        cache = RedisCache(link, secret=SECRET)
        await cache.set(key(1), b"right", 60)
        with redis.Redis.from_url(redis_server.url) as other:
            other.set(name(key(1)), garbage)
        assert await cache.get(key(1)) is None
        counts = cache.counts["search"]
        assert (counts.foreign, counts.misses, counts.hits) == (1, 1, 0)

    with_link(redis_server.url, act)


def test_a_value_moved_to_another_key_is_not_there(redis_server: RedisServer) -> None:
    async def act(link: RedisLink) -> None:
        cache = RedisCache(link, secret=SECRET)
        others = [
            key(2),
            key(1, "context"),
            CacheKey("search", "t2:p", "1"),
            CacheKey("search", "t:p2", "1"),
        ]
        await cache.set(key(1), b"right", 60)
        with redis.Redis.from_url(redis_server.url) as other:
            stored = other.get(name(key(1)))
            for moved in others:
                other.set(name(moved), stored)
        for moved in others:
            assert await cache.get(moved) is None
        assert await cache.get(key(1)) == b"right"

    with_link(redis_server.url, act)


def test_every_changed_bit_is_noticed(redis_server: RedisServer) -> None:
    async def act(link: RedisLink) -> None:
        cache = RedisCache(link, secret=SECRET)
        await cache.set(key(1), b"right", 60)
        with redis.Redis.from_url(redis_server.url) as other:
            stored = other.get(name(key(1)))
            assert isinstance(stored, bytes)
            for place in range(len(stored)):
                changed = bytearray(stored)
                changed[place] ^= 1
                other.set(name(key(1)), bytes(changed))
                assert await cache.get(key(1)) is None

    with_link(redis_server.url, act)


def test_a_hub_with_another_secret_finds_nothing(redis_server: RedisServer) -> None:
    async def act(link: RedisLink) -> None:
        await RedisCache(link, secret=SECRET).set(key(1), b"right", 60)
        assert await RedisCache(link, secret=b"t" * 32).get(key(1)) is None

    with_link(redis_server.url, act)


def test_a_short_secret_is_refused(redis_server: RedisServer) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        RedisCache(RedisLink(redis_server.url), secret=b"changeme")


def test_a_key_of_another_type_is_not_there(redis_server: RedisServer) -> None:
    async def act(link: RedisLink) -> None:
        cache = RedisCache(link, secret=SECRET)
        with redis.Redis.from_url(redis_server.url) as other:
            other.delete(name(key(3)))
            other.lpush(name(key(3)), "x")
        assert await cache.get(key(3)) is None

    with_link(redis_server.url, act)


@pytest.mark.parametrize("fault", ["stopped", "killed", "paused"])
def test_redis_that_does_not_answer_costs_one_short_wait(
    own_redis: RedisServer, fault: str
) -> None:
    async def act(link: RedisLink) -> None:
        cache = RedisCache(link, secret=SECRET)
        await cache.set(key(1), b"right", 60)
        assert await cache.get(key(1)) == b"right"
        assert own_redis.process is not None
        if fault == "stopped":
            own_redis.process.send_signal(signal.SIGSTOP)
        elif fault == "killed":
            own_redis.stop(signal.SIGKILL)
        else:
            with redis.Redis.from_url(own_redis.url) as other:
                other.client_pause(2_000)
        try:
            first = await timed(asyncio.gather(*(cache.get(key(n)) for n in range(100))))
            assert first < BUDGET_S + BUSY_S
            assert link.is_down
            later = [await timed(cache.get(key(n))) for n in range(500)]
            assert sorted(later)[len(later) // 2] < 0.002
            assert sum(later) < BUSY_S
        finally:
            own_redis.process.send_signal(signal.SIGCONT)
            if fault == "killed":
                own_redis.start()
        assert await answered(cache, key(1)) in {b"right", b"again"}
        assert not link.is_down

    with_link(own_redis.url, act)


def test_a_full_redis_is_read_and_not_given_up(own_redis: RedisServer) -> None:
    async def act(link: RedisLink) -> None:
        cache = RedisCache(link, secret=SECRET)
        await cache.set(key(0), b"first", 60)
        with redis.Redis.from_url(own_redis.url) as other:
            other.config_set("maxmemory", "2mb")
            other.config_set("maxmemory-policy", "noeviction")
        held = b"x" * 50_000
        for number in range(1, 100):
            await cache.set(key(number), held, 60)
        assert cache.counts["search"].errors > 0
        assert not link.is_down
        assert await cache.get(key(0)) == b"first"
        for number in range(1, 100):
            assert await cache.get(key(number)) in {None, held}

    with_link(own_redis.url, act)


def test_a_redis_that_evicts_only_forgets(own_redis: RedisServer) -> None:
    async def act(link: RedisLink) -> None:
        cache = RedisCache(link, secret=SECRET)
        with redis.Redis.from_url(own_redis.url) as other:
            other.config_set("maxmemory", "2mb")
            other.config_set("maxmemory-policy", "allkeys-lru")
        for number in range(200):
            value = str(number).encode() * 5_000
            await cache.set(key(number), value, 60)
            assert await cache.get(key(number)) in {None, value}
        with redis.Redis.from_url(own_redis.url) as other:
            other.flushall()
        assert await cache.get(key(199)) is None

    with_link(own_redis.url, act)


def test_a_wrong_password_is_a_miss(redis_server: RedisServer) -> None:
    async def act(link: RedisLink) -> None:
        cache = RedisCache(link, secret=SECRET)
        await cache.set(key(1), b"x", 60)
        assert await cache.get(key(1)) is None
        assert cache.counts["search"].errors == 2

    with_link(redis_server.url.replace(PASSWORD, "guessed"), act)


def test_nobody_there_is_a_miss(own_redis: RedisServer) -> None:
    own_redis.stop()

    async def act(link: RedisLink) -> None:
        assert await RedisCache(link, secret=SECRET).get(key(1)) is None
        with pytest.raises(Unreachable):
            await link.run(lambda client: client.ping())

    with_link(own_redis.url, act)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", ""])
def test_a_url_that_is_none_of_redis(url: str) -> None:
    with pytest.raises(ValueError, match="Redis URL"):
        RedisLink(url)


def test_the_breaker_rests_longer_each_time() -> None:
    at = 100.0
    breaker = Breaker(lambda: at)
    rests = []
    for _ in range(8):
        breaker.failed()
        began = at
        assert breaker.is_open
        breaker.failed()
        while not breaker.is_due:
            at += 0.25
        rests.append(at - began)
    assert rests[0] == FIRST_REST_S
    assert rests[1] == 2 * FIRST_REST_S
    assert rests[-1] == LONGEST_REST_S
    breaker.succeeded()
    assert not breaker.is_open
    breaker.failed()
    at += FIRST_REST_S
    assert breaker.is_due
