"""The cache that the processes of a hub share."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from context_api.adapters.cache.redis_link import Client, RedisLink, Unreachable
from context_api.application.caching import CacheKey, Counted, Kept

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
        (value,) = await self._read([key])
        return value

    async def find(self, key: CacheKey, beside: CacheKey) -> tuple[bytes | None, bytes | None]:
        """Returns the value of ``key`` and, only where that is not there, the one ``beside``."""
        value, *others = await self._read([key, beside])
        return value, others[0] if others else None

    async def _read(self, keys: Sequence[CacheKey]) -> list[bytes | None]:
        """Returns values in one round trip, up to the first that is there."""
        names = [self._name(key) for key in keys]

        async def ask(client: Client) -> Sequence[object]:
            if len(names) == 1:
                return [await client.get(names[0])]
            pipeline = client.pipeline(transaction=False)
            for name in names:
                pipeline.get(name)
            return await pipeline.execute()

        try:
            answers = await self._link.run(ask)
        except Unreachable:
            for key in keys:
                self.counts[key.cache].errors += 1
                self.counts[key.cache].misses += 1
            return [None] * len(keys)
        found: list[bytes | None] = []
        for key, name, stored in zip(keys, names, answers, strict=True):
            found.append(self._counted(key, name, stored))
            if found[-1] is not None:
                break
        return found

    def _counted(self, key: CacheKey, name: str, stored: object) -> bytes | None:
        counts = self.counts[key.cache]
        value = None
        if isinstance(stored, bytes):
            value = self._opened(name, stored)
            counts.foreign += value is None
        counts.hits += value is not None
        counts.misses += value is None
        return value

    async def set(self, key: CacheKey, value: bytes, ttl_s: float) -> None:
        """Keeps a value; one above 512 KiB is not kept."""
        await self.keep([Kept(key, value, ttl_s)])

    async def keep(self, values: Sequence[Kept]) -> None:
        """Keeps several values in one round trip, but for those above 512 KiB."""
        small = [kept for kept in values if len(kept.value) <= LARGEST_BYTES]
        if not small:
            return
        sealed = [self._sealed(kept) for kept in small]

        async def ask(client: Client) -> None:
            if len(sealed) == 1:
                name, value, milliseconds = sealed[0]
                await client.set(name, value, px=milliseconds)
                return
            pipeline = client.pipeline(transaction=False)
            for name, value, milliseconds in sealed:
                pipeline.set(name, value, px=milliseconds)
            await pipeline.execute()

        try:
            await self._link.run(ask)
        except Unreachable:
            for kept in small:
                self.counts[kept.key.cache].errors += 1
        else:
            for kept in small:
                self.counts[kept.key.cache].stores += 1

    async def close(self) -> None:
        """Closes the way to Redis."""
        await self._link.close()

    def _sealed(self, kept: Kept) -> tuple[str, bytes, int]:
        name = self._name(kept.key)
        value = _FORM + self._mac(name, kept.value) + kept.value
        return name, value, max(1, int(kept.ttl_s * 1000))

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
