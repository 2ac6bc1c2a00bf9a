"""The cache of one process keeps to its room."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from context_api.adapters.cache.memory import ENTRY_BYTES, SWEEP_S, MemoryCache
from context_api.application.caching import CacheKey

ROOM = 20_000


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def key(number: int) -> CacheKey:
    return CacheKey("search", "t:p", str(number))


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, ROOM), st.floats(0.1, 200.0)), max_size=60
    )
)
def test_it_never_takes_more_than_its_room(steps: list[tuple[int, int, float]]) -> None:
    async def run() -> None:
        clock = Clock()
        cache = MemoryCache(ROOM, clock)
        last: dict[int, tuple[bytes, float]] = {}
        for number, size, ttl in steps:
            value = bytes([number]) * size
            await cache.set(key(number), value, ttl)
            last[number] = (value, clock.now + ttl)
            clock.now += 1.0
            assert cache.size <= ROOM
            for other, (held, end) in last.items():
                found = await cache.get(key(other))
                assert found in {None, held}
                assert found is None or end > clock.now
        held_now = [n for n in last if await cache.get(key(n)) is not None]
        assert cache.size >= sum(len(last[n][0]) + ENTRY_BYTES for n in held_now)

    asyncio.run(run())


def test_what_was_used_last_stays() -> None:
    async def run() -> None:
        cache = MemoryCache(10 * (1_000 + ENTRY_BYTES))
        for number in range(10):
            await cache.set(key(number), b"x" * 1_000, 60)
        await cache.get(key(0))
        await cache.set(key(10), b"x" * 1_000, 60)
        assert await cache.get(key(0)) is not None
        assert await cache.get(key(1)) is None

    asyncio.run(run())


def test_what_is_too_old_leaves_the_memory_though_nobody_asks_for_it() -> None:
    async def run() -> None:
        clock = Clock()
        cache = MemoryCache(ROOM, clock)
        await cache.set(key(1), b"secret", 10)
        clock.now = SWEEP_S
        await cache.set(key(2), b"", 10)
        assert cache.size == ENTRY_BYTES

    asyncio.run(run())
