"""A small cache before a shared one."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from context_api.application.caching import Cache, CacheCounts, CacheKey, Counted, Kept

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
        value = await self._near.get(key)
        if value is None:
            value = await self._brought(key, await self._far.get(key))
        self._count(key, value)
        return value

    async def find(self, key: CacheKey, beside: CacheKey) -> tuple[bytes | None, bytes | None]:
        """Returns the value of ``key`` and, only where that is not there, the one ``beside``."""
        value, other = await self._near.find(key, beside)
        if value is None and other is None:
            first, second = await self._far.find(key, beside)
            value = await self._brought(key, first)
            other = await self._brought(beside, second)
        elif value is None:
            value = await self._brought(key, await self._far.get(key))
        self._count(key, value)
        if value is not None:
            return value, None
        self._count(beside, other)
        return None, other

    async def set(self, key: CacheKey, value: bytes, ttl_s: float) -> None:
        """Keeps a value in both."""
        await self.keep([Kept(key, value, ttl_s)])

    async def keep(self, values: Sequence[Kept]) -> None:
        """Keeps several values in both."""
        await self._near.keep(values)
        at = self._clock()
        await self._far.keep(
            [replace(kept, value=_END.pack(at + kept.ttl_s) + kept.value) for kept in values]
        )
        for kept in values:
            self._asked[kept.key.cache].stores += 1

    async def close(self) -> None:
        """Closes both."""
        await self._near.close()
        await self._far.close()

    def _count(self, key: CacheKey, value: bytes | None) -> None:
        counts = self._asked[key.cache]
        counts.hits += value is not None
        counts.misses += value is None

    async def _brought(self, key: CacheKey, dated: bytes | None) -> bytes | None:
        """Returns what the far one had, and keeps it near for the rest of its time."""
        if dated is None or len(dated) < _END.size:
            return None
        (end,) = _END.unpack_from(dated)
        left = end - self._clock()
        if left <= 0:
            return None
        value = dated[_END.size :]
        await self._near.set(key, value, left)
        return value
