"""A small cache before a shared one."""

from __future__ import annotations

from collections.abc import Mapping

from context_api.application.caching import Cache, CacheCounts, CacheKey, Counted

NEAR_S = 300.0
"""Longest time that a value from the shared cache is kept near, whose own end is not known."""


class TieredCache:
    """Asks the near cache first, and keeps there what the far one had.

    Values are bound to a position, so the near one cannot be out of date.
    """

    def __init__(self, near: Cache, far: Cache, near_s: float = NEAR_S) -> None:
        self._asked = Counted()
        self._near = near
        self._far = far
        self._near_s = near_s

    @property
    def counts(self) -> Mapping[str, CacheCounts]:
        """What became of the questions to both together; errors are the far one's."""
        return {
            name: CacheCounts(
                hits=own.hits,
                misses=own.misses,
                stores=own.stores,
                errors=far.errors,
                foreign=far.foreign,
            )
            for name, own in self._asked.items()
            for far in [self._far.counts.get(name, CacheCounts())]
        }

    @property
    def shared(self) -> bool:
        """Whether other processes see what this one keeps."""
        return self._far.shared

    async def get(self, key: CacheKey) -> bytes | None:
        """Returns the value of ``key`` from the nearest that has it."""
        counts = self._asked[key.cache]
        value = await self._near.get(key)
        if value is None:
            value = await self._from_afar(key)
        counts.hits += value is not None
        counts.misses += value is None
        return value

    async def set(self, key: CacheKey, value: bytes, ttl_s: float) -> None:
        """Keeps a value in both."""
        await self._near.set(key, value, min(ttl_s, self._near_s))
        await self._far.set(key, value, ttl_s)
        self._asked[key.cache].stores += 1

    async def close(self) -> None:
        """Closes both."""
        await self._near.close()
        await self._far.close()

    async def _from_afar(self, key: CacheKey) -> bytes | None:
        value = await self._far.get(key)
        if value is not None:
            await self._near.set(key, value, self._near_s)
        return value
