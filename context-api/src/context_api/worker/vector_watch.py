"""Asks the vector server how it is, so that its absence shows also where nothing asks it."""

from __future__ import annotations

import asyncio
import time

import structlog

from context_api.application.services import Services
from context_api.application.vectors import VectorIndex
from memory_core.errors import ContextError

EVERY_S = 5.0
AWAY_EVERY_S = 1.0
CHECK_EVERY_S = 20.0
"""Seconds between questions that only a sound index answers. Each costs the server 9 ms and a
write; a sign of life in between shows within `EVERY_S` that the server is away, or back."""

log = structlog.get_logger(__name__)


async def watch_vectors(services: Services, vectors: VectorIndex) -> None:
    """Notes in the indexes whether the vector server finds what it is known to hold."""
    indexes = services.indexes
    check_at = 0.0
    while True:
        try:
            if time.monotonic() < check_at and indexes.away is None:
                await asyncio.to_thread(vectors.answers)
            else:
                await asyncio.to_thread(vectors.check)
                check_at = time.monotonic() + CHECK_EVERY_S
        except ContextError as error:
            if indexes.away is None:
                log.warning("the vector server is away", code=error.code, detail=error.detail)
            indexes.away = error
        else:
            if indexes.away is not None:
                log.info("the vector server is back")
            indexes.away = None
        await asyncio.sleep(AWAY_EVERY_S if indexes.away else EVERY_S)
