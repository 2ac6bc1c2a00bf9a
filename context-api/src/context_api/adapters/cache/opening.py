"""Caches and rate limits as the settings ask for them."""

from __future__ import annotations

from dataclasses import dataclass

from context_api.adapters.cache.limits import MemoryLimiter, RedisLimiter
from context_api.adapters.cache.memory import MemoryCache
from context_api.adapters.cache.redis_cache import RedisCache
from context_api.adapters.cache.redis_link import RedisLink
from context_api.adapters.cache.tiered import TieredCache
from context_api.application.caching import Cache
from context_api.application.limiting import Limiter

NEAR_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A cache, and a limiter if requests are limited; both end with `close`."""

    cache: Cache
    limiter: Limiter | None
    link: RedisLink | None

    @property
    def missing(self) -> list[str]:
        """What does not answer of that which other processes share."""
        return ["cache"] if self.link is not None and self.link.is_down else []

    async def answers(self) -> bool:
        """Says if what other processes share answers now; so does what is of this one alone."""
        return self.link is None or await self.link.answers()

    async def close(self) -> None:
        """Closes what is open."""
        await self.cache.close()
        if self.link is not None:
            await self.link.close()


def open_caching(
    *,
    redis_url: str = "",
    secret: bytes = b"",
    limit_per_minute: int | None = None,
    near_bytes: int = NEAR_BYTES,
) -> Opened:
    """Returns caches and limits of this process, shared through Redis if there is a URL.

    Nothing connects before it is used, and a Redis that is not there is no error.

    Raises:
        ValueError: the URL is none of Redis, or with a URL the secret is too short.
    """
    near = MemoryCache(near_bytes)
    if not redis_url:
        limiter = MemoryLimiter(limit_per_minute) if limit_per_minute else None
        return Opened(cache=near, limiter=limiter, link=None)
    link = RedisLink(redis_url)
    cache = TieredCache(near, RedisCache(link, secret=secret))
    shared = RedisLimiter(link, limit_per_minute) if limit_per_minute else None
    return Opened(cache=cache, limiter=shared, link=link)
