"""The cache that the processes of a hub share."""

from __future__ import annotations

import hashlib
import hmac

from context_api.adapters.cache.redis_link import RedisLink, Unreachable
from context_api.application.caching import CacheKey, Counted

LARGEST_BYTES = 512 * 1024
MIN_SECRET_BYTES = 16

_FORM = b"1"
_MAC_BYTES = hashlib.sha256().digest_size


class RedisCache:
    """Keeps values in Redis, each with a MAC over its key and itself.

    What does not carry the right MAC, because somebody else wrote it or moved it to another
    key, is not there. Every failure is a miss.
    """

    shared = True

    def __init__(self, link: RedisLink, *, secret: bytes, prefix: str = "memctx") -> None:
        """Takes a way to Redis, which its owner closes.

        Args:
            link: the way to Redis.
            secret: at least 16 bytes, the same in every process of the hub and unknown to who
                can write into Redis.
            prefix: what every key begins with.

        Raises:
            ValueError: the secret is too short.
        """
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret of a cache has at least {MIN_SECRET_BYTES} bytes")
        self.counts = Counted()
        self._link = link
        self._secret = hmac.digest(secret, b"memctx cache values", hashlib.sha256)
        self._prefix = prefix

    async def get(self, key: CacheKey) -> bytes | None:
        """Returns the value of ``key``, None if it is not there or cannot be had in time."""
        counts = self.counts[key.cache]
        name = self._name(key)
        try:
            stored: object = await self._link.run(lambda client: client.get(name))
        except Unreachable:
            counts.errors += 1
            counts.misses += 1
            return None
        value = None
        if isinstance(stored, bytes):
            value = self._opened(name, stored)
            counts.foreign += value is None
        counts.hits += value is not None
        counts.misses += value is None
        return value

    async def set(self, key: CacheKey, value: bytes, ttl_s: float) -> None:
        """Keeps a value; one above 512 KiB is not kept."""
        if len(value) > LARGEST_BYTES:
            return
        counts = self.counts[key.cache]
        name = self._name(key)
        sealed = _FORM + self._mac(name, value) + value
        milliseconds = max(1, int(ttl_s * 1000))
        try:
            await self._link.run(lambda client: client.set(name, sealed, px=milliseconds))
        except Unreachable:
            counts.errors += 1
        else:
            counts.stores += 1

    async def close(self) -> None:
        """Closes the way to Redis."""
        await self._link.close()

    def _name(self, key: CacheKey) -> str:
        return f"{self._prefix}:{key.text}"

    def _mac(self, name: str, value: bytes) -> bytes:
        bound = name.encode()
        return hmac.digest(
            self._secret, len(bound).to_bytes(4, "big") + bound + value, hashlib.sha256
        )

    def _opened(self, name: str, stored: bytes) -> bytes | None:
        form, mac, value = stored[:1], stored[1 : 1 + _MAC_BYTES], stored[1 + _MAC_BYTES :]
        if form != _FORM or not hmac.compare_digest(mac, self._mac(name, value)):
            return None
        return value
