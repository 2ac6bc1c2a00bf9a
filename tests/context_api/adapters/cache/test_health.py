"""Health names the shared cache while Redis is away, and stops when it is back."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

from context_api.application.admin import status
from context_api.application.health import START_REDIS, ready
from context_api.application.services import Services
from memory_core.records import Document
from tests.support.servers.redis import RedisServer
from tests.support.services import caller, services_in

PATIENCE_S = 30.0


async def cache_of(services: Services) -> Document:
    """Returns what health says of the cache."""
    checks = (await ready(services))["checks"]
    assert isinstance(checks, dict)
    found = checks["cache"]
    assert isinstance(found, dict)
    return found


def test_a_redis_that_is_away_is_named_until_it_is_back(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    async def run() -> None:
        secret = "Vq3nT8xLrW5yB1mKd7hP0sGf"
        async with services_in(tmp_path, redis_url=own_redis.url, cache_secret=secret) as services:
            assert (await cache_of(services))["ok"]
            assert "cache" not in services.measures.missing_parts()
            own_redis.stop(signal.SIGKILL)
            assert not (await cache_of(services))["ok"]
            assert (await ready(services))["status"] == "degraded"
            assert "cache" in services.measures.missing_parts()
            told: Any = await status(services, caller())
            mends = {part["part"]: part["mend"] for part in told["degraded"]}
            assert mends["cache"] == START_REDIS
            own_redis.start()
            end = time.monotonic() + PATIENCE_S
            while not (await cache_of(services))["ok"]:
                assert time.monotonic() < end, "it stays away"
                await asyncio.sleep(0.05)
            assert "cache" not in services.measures.missing_parts()

    asyncio.run(run())


def test_a_hub_without_redis_lacks_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with services_in(tmp_path) as services:
            assert (await cache_of(services))["ok"]
            assert "cache" not in services.measures.missing_parts()

    asyncio.run(run())
