"""Rate limits: counted in this process, or in Redis for all processes of a hub."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from context_api.adapters.cache.redis_link import Client, RedisLink, Unreachable
from context_api.application.limiting import WINDOW_S, Allowance, judge, window_of

MAX_NAMES = 10_000


@dataclass(slots=True)
class _Taken:
    window: int
    current: int = 0
    previous: int = 0

    def move_to(self, window: int) -> None:
        if window != self.window:
            self.previous = self.current if window == self.window + 1 else 0
            self.current, self.window = 0, window


class MemoryLimiter:
    """Counts in this process. Names that took nothing for two windows are forgotten."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.time) -> None:
        """Allows ``limit`` in `WINDOW_S` seconds, for each name."""
        self.limit = limit
        self._clock = clock
        self._taken: dict[str, _Taken] = {}

    async def take(self, name: str, cost: int = 1) -> Allowance:
        """Takes ``cost`` if it is still allowed."""
        cost = min(cost, self.limit)
        window, into = window_of(self._clock())
        taken = self._taken.get(name)
        if taken is None:
            self._forget(window)
            taken = self._taken[name] = _Taken(window)
        taken.move_to(window)
        allowance = judge(
            limit=self.limit,
            cost=cost,
            current=taken.current,
            previous=taken.previous,
            into=into,
        )
        if allowance.allowed:
            taken.current += cost
        return allowance

    async def close(self) -> None:
        """Does nothing: there are no connections."""

    def _forget(self, window: int) -> None:
        if len(self._taken) >= MAX_NAMES:
            self._taken = {
                name: taken for name, taken in self._taken.items() if taken.window >= window - 1
            }


class RedisLimiter:
    """Counts in Redis; in this process alone while Redis does not answer.

    A counter for each name and window, its window in its key, so that nothing has to be reset.
    What is refused is given back. Processes must agree on the time to a second or so.
    """

    def __init__(
        self,
        link: RedisLink,
        limit: int,
        *,
        prefix: str = "memctx",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Takes a way to Redis, which its owner closes; allows ``limit`` in `WINDOW_S` seconds."""
        self.limit = limit
        self._link = link
        self._prefix = prefix
        self._clock = clock
        self._alone = MemoryLimiter(limit, clock)

    async def take(self, name: str, cost: int = 1) -> Allowance:
        """Takes ``cost`` if it is still allowed."""
        cost = min(cost, self.limit)
        window, into = window_of(self._clock())
        try:
            current, previous = await self._add(name, window, cost)
        except Unreachable:
            return await self._alone.take(name, cost)
        allowance = judge(
            limit=self.limit, cost=cost, current=current - cost, previous=previous, into=into
        )
        if not allowance.allowed:
            await self._give_back(name, window, cost)
        return allowance

    async def close(self) -> None:
        """Closes the way to Redis."""
        await self._link.close()

    async def _add(self, name: str, window: int, cost: int) -> tuple[int, int]:
        """Returns what was taken in this window, ``cost`` included, and in the one before."""

        async def ask(client: Client) -> list[bytes | int | None]:
            pipeline = client.pipeline(transaction=False)
            pipeline.incrby(self._key(name, window), cost)
            pipeline.expire(self._key(name, window), int(2 * WINDOW_S))
            pipeline.get(self._key(name, window - 1))
            return await pipeline.execute()

        taken, _, before = await self._link.run(ask)
        return int(taken or 0), max(0, int(before or 0))

    async def _give_back(self, name: str, window: int, cost: int) -> None:
        try:
            await self._link.run(lambda client: client.decrby(self._key(name, window), cost))
        except Unreachable:
            return

    def _key(self, name: str, window: int) -> str:
        # The name comes from a key's public id, but no brace of it may move the hash tag.
        owner = hashlib.sha256(name.encode()).hexdigest()[:32]
        return f"{self._prefix}:rate:{{{owner}}}:{window}"
