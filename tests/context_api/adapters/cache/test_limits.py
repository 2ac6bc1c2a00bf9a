"""What every limiter does, and what the one in Redis does when Redis is away."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_api.adapters.cache.limits import MAX_NAMES, MemoryLimiter, RedisLimiter
from context_api.adapters.cache.redis_link import RedisLink
from context_api.application.limiting import WINDOW_S, Limiter, judge
from tests.support.servers.redis import RedisServer

START = 1_800_000_000.0


class Clock:
    """Time that a test moves."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


Opened = Callable[[int, Clock], AbstractAsyncContextManager[Limiter]]


@pytest.fixture(params=["memory", "redis", "cluster", "no redis"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """Opens a limiter of each kind."""
    urls: dict[str, Callable[[], str]] = {
        "redis": lambda: request.getfixturevalue("redis_server").url,
        "cluster": lambda: request.getfixturevalue("cluster_url"),
        "no redis": lambda: "redis://127.0.0.1:1/0",
    }
    url = urls[request.param]() if request.param in urls else None

    @asynccontextmanager
    async def open_(limit: int, clock: Clock) -> AsyncIterator[Limiter]:
        made: Limiter = MemoryLimiter(limit, clock)
        if url is not None:
            link = RedisLink(url, budget_s=2.0)
            # Old windows and names of other tests are nothing to these.
            made = RedisLimiter(link, limit, prefix=f"memctx:{secrets.token_hex(8)}", clock=clock)
        try:
            yield made
        finally:
            await made.close()

    return open_


def with_limiter(
    opened: Opened, limit: int, act: Callable[[Limiter, Clock], Awaitable[None]]
) -> None:
    async def run() -> None:
        clock = Clock()
        async with opened(limit, clock) as limiter:
            await act(limiter, clock)

    asyncio.run(run())


def test_the_limit_passes_and_not_one_more(opened: Opened) -> None:
    async def act(limiter: Limiter, clock: Clock) -> None:
        left = [await limiter.take("a") for _ in range(5)]
        assert [allowance.allowed for allowance in left] == [True] * 5
        assert [allowance.remaining for allowance in left] == [4, 3, 2, 1, 0]
        refused = await limiter.take("a")
        assert not refused.allowed
        assert refused.remaining == 0
        assert (await limiter.take("b")).allowed

    with_limiter(opened, 5, act)


def test_after_the_wait_it_passes_and_not_before(opened: Opened) -> None:
    async def act(limiter: Limiter, clock: Clock) -> None:
        for _ in range(5):
            await limiter.take("a")
        clock.now += 10.0
        refused = await limiter.take("a")
        began = clock.now
        clock.now = began + refused.retry_after_s - 0.5
        assert not (await limiter.take("a")).allowed
        clock.now = began + refused.retry_after_s + 0.01
        assert (await limiter.take("a")).allowed

    with_limiter(opened, 5, act)


def test_what_is_refused_does_not_count(opened: Opened) -> None:
    async def act(limiter: Limiter, clock: Clock) -> None:
        for _ in range(50):
            await limiter.take("a")
        clock.now += 1.5 * WINDOW_S
        taken = [(await limiter.take("a")).allowed for _ in range(5)]
        assert taken.count(True) == 2
        clock.now += 2 * WINDOW_S
        assert [(await limiter.take("a")).allowed for _ in range(6)] == [True] * 5 + [False]

    with_limiter(opened, 5, act)


def test_a_cost_is_taken_whole_or_not_at_all(opened: Opened) -> None:
    async def act(limiter: Limiter, clock: Clock) -> None:
        assert (await limiter.take("a", 7)).remaining == 3
        assert not (await limiter.take("a", 4)).allowed
        assert (await limiter.take("a", 3)).remaining == 0

    with_limiter(opened, 10, act)


def test_a_cost_above_the_limit_can_be_had(opened: Opened) -> None:
    async def act(limiter: Limiter, clock: Clock) -> None:
        assert (await limiter.take("a", 1_000)).allowed
        assert not (await limiter.take("a")).allowed

    with_limiter(opened, 10, act)


def test_many_at_once_share_one_limit(opened: Opened) -> None:
    async def act(limiter: Limiter, clock: Clock) -> None:
        taken = await asyncio.gather(*(limiter.take("a") for _ in range(60)))
        passed = sum(allowance.allowed for allowance in taken)
        # Those that came together may refuse each other, but what they gave back is there.
        while (await limiter.take("a")).allowed:
            passed += 1
        assert passed == 20

    with_limiter(opened, 20, act)


def test_two_processes_share_one_limit(redis_server: RedisServer) -> None:
    async def run() -> None:
        prefix, clock = f"memctx:{secrets.token_hex(8)}", Clock()
        links = [RedisLink(redis_server.url, budget_s=2.0) for _ in range(2)]
        limiters = [RedisLimiter(link, 10, prefix=prefix, clock=clock) for link in links]
        taken = [(await limiters[n % 2].take("a")).allowed for n in range(14)]
        assert taken == [True] * 10 + [False] * 4
        for link in links:
            await link.close()

    asyncio.run(run())


def test_a_limit_holds_while_redis_is_stopped(own_redis: RedisServer) -> None:
    async def run() -> None:
        limiter = RedisLimiter(RedisLink(own_redis.url), 5, clock=Clock())
        assert (await limiter.take("a")).allowed
        assert own_redis.process is not None
        own_redis.process.send_signal(signal.SIGSTOP)
        try:
            taken = [(await limiter.take("a")).allowed for _ in range(8)]
        finally:
            own_redis.process.send_signal(signal.SIGCONT)
        assert taken == [True] * 5 + [False] * 3
        await limiter.close()

    asyncio.run(run())


def test_names_of_the_past_are_forgotten() -> None:
    async def run() -> None:
        clock = Clock()
        limiter = MemoryLimiter(5, clock)
        for number in range(MAX_NAMES):
            await limiter.take(str(number))
        clock.now += 3 * WINDOW_S
        await limiter.take("new")
        assert len(limiter._taken) == 1

    asyncio.run(run())


@given(
    limit=st.integers(1, 1_000),
    cost=st.integers(1, 1_000),
    current=st.integers(0, 1_000),
    previous=st.integers(0, 1_000),
    into=st.floats(0, WINDOW_S, exclude_max=True),
)
def test_the_wait_is_as_long_as_needed(
    limit: int, cost: int, current: int, previous: int, into: float
) -> None:
    cost, current, previous = min(cost, limit), min(current, limit), min(previous, limit)
    first = judge(limit=limit, cost=cost, current=current, previous=previous, into=into)
    if first.allowed:
        assert first.retry_after_s == 0.0
        return
    assert 0.0 < first.retry_after_s <= 2 * WINDOW_S
    windows, then = divmod(into + first.retry_after_s + 1e-6, WINDOW_S)
    after = [(current, previous), (0, current), (0, 0)][int(windows)]
    again = judge(limit=limit, cost=cost, current=after[0], previous=after[1], into=then)
    assert again.allowed


@given(
    limit=st.integers(1, 50),
    steps=st.lists(st.floats(0.0, 40.0), min_size=1, max_size=300),
)
def test_never_twice_the_limit_in_any_window(limit: int, steps: list[float]) -> None:
    async def run() -> None:
        clock = Clock()
        limiter = MemoryLimiter(limit, clock)
        passed = []
        for step in steps:
            clock.now += step / 10
            if (await limiter.take("a")).allowed:
                passed.append(clock.now)
        for began in passed:
            assert sum(began <= at < began + WINDOW_S for at in passed) <= 2 * limit

    asyncio.run(run())
