"""The cache of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from context_api.application.caching import CacheKey, Counted, Kept

ENTRY_BYTES = 400
"""What an entry takes beside its value: key, slots, the dictionary's share."""

LARGEST_SHARE = 8
SWEEP_S = 60.0
"""How long a value may outlive its time: what was erased must also leave the memory."""


class MemoryCache:
    """Keeps the values that were used last, in a bounded number of bytes.

    Used from one event loop. A value above an eighth of the room is not kept: it would push
    out all others.
    """

    shared = False

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts = Counted()
        self._max_bytes = max_bytes
        self._clock = clock
        self._held: OrderedDict[CacheKey, tuple[float, bytes]] = OrderedDict()
        self._size = 0
        self._swept = clock()

    @property
    def size(self) -> int:
        """The bytes that are taken."""
        return self._size

    async def get(self, key: CacheKey) -> bytes | None:
        """Returns the value of ``key``, None if it is not there or too old."""
        found = self._held.get(key)
        if found is not None and found[0] <= self._clock():
            self._drop(key)
            found = None
        counts = self.counts[key.cache]
        if found is None:
            counts.misses += 1
            return None
        self._held.move_to_end(key)
        counts.hits += 1
        return found[1]

    async def find(self, key: CacheKey, beside: CacheKey) -> tuple[bytes | None, bytes | None]:
        """Returns the value of ``key`` and, only where that is not there, the one ``beside``."""
        value = await self.get(key)
        return value, None if value is not None else await self.get(beside)

    async def keep(self, values: Sequence[Kept]) -> None:
        """Keeps several values."""
        for kept in values:
            await self.set(kept.key, kept.value, kept.ttl_s)

    async def set(self, key: CacheKey, value: bytes, ttl_s: float) -> None:
        """Keeps a value, and forgets those used longest ago where room is short."""
        self._sweep()
        self._drop(key)
        size = len(value) + ENTRY_BYTES
        if size * LARGEST_SHARE > self._max_bytes:
            return
        self._held[key] = (self._clock() + ttl_s, value)
        self._size += size
        self.counts[key.cache].stores += 1
        while self._size > self._max_bytes:
            self._drop(next(iter(self._held)))

    async def close(self) -> None:
        """Forgets everything."""
        self._held.clear()
        self._size = 0

    def _sweep(self) -> None:
        at = self._clock()
        if at >= self._swept + SWEEP_S:
            self._swept = at
            for key in [key for key, (end, _) in self._held.items() if end <= at]:
                self._drop(key)

    def _drop(self, key: CacheKey) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            self._size -= len(found[1]) + ENTRY_BYTES
