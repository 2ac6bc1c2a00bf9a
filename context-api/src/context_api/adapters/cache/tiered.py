"""A small cache before a shared one."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from context_api.application.caching import Cache, CacheCounts, CacheKey, Counted

_END = struct.Struct(">d")


class _Together(Mapping[str, CacheCounts]):
    """What became of the questions to both caches; errors and foreign values are the far one's."""

    def __init__(self, asked: Counted, far: Cache) -> None:
        self._asked = asked
        self._far = far

    def __getitem__(self, name: str) -> CacheCounts:
        if name not in self._asked:
            raise KeyError(name)
        far = self._far.counts.get(name, CacheCounts())
        return replace(self._asked[name], errors=far.errors, foreign=far.foreign)

    def __iter__(self) -> Iterator[str]:
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._asked)


class TieredCache:
    """Asks the near cache first, and keeps there what the far one had.

    Values are bound to a position, so the near one cannot be out of date. Each carries the time
    at which it ends, so that it ends near as well; the processes agree on the time to a second
    or so.
    """

    def __init__(self, near: Cache, far: Cache, clock: Callable[[], float] = time.time) -> None:
        self._asked = Counted()
        self.counts: Mapping[str, CacheCounts] = _Together(self._asked, far)
        self._near = near
        self._far = far
        self._clock = clock

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
        await self._near.set(key, value, ttl_s)
        await self._far.set(key, _END.pack(self._clock() + ttl_s) + value, ttl_s)
        self._asked[key.cache].stores += 1

    async def close(self) -> None:
        """Closes both."""
        await self._near.close()
        await self._far.close()

    async def _from_afar(self, key: CacheKey) -> bytes | None:
        dated = await self._far.get(key)
        if dated is None or len(dated) < _END.size:
            return None
        (end,) = _END.unpack_from(dated)
        left = end - self._clock()
        if left <= 0:
            return None
        value = dated[_END.size :]
        await self._near.set(key, value, left)
        return value
