"""Looks at the progress of the work now and then, also when nobody asks for it."""

from __future__ import annotations

import asyncio

import structlog

from context_api.application.services import Services
from memory_core.errors import ContextError

EVERY_S = 10.0

log = structlog.get_logger(__name__)


async def watch(services: Services) -> None:
    """Reads the figures every few seconds, so that standing still is noticed and timed.

    Work that waits while none is done is logged as an error, once each time it begins.
    """
    measures = services.measures
    stalled: list[str] = []
    while True:
        try:
            found = await measures.read(services.uow, services.indexes)
        except ContextError as error:
            measures.missed("database")
            log.warning("progress is not known", code=error.code)
        else:
            if found.stalled and found.stalled != stalled:
                log.error(
                    "indexing stands still",
                    indexes=found.stalled,
                    oldest_unprocessed_s=round(found.oldest_s, 1),
                )
            stalled = found.stalled
        await asyncio.sleep(EVERY_S)
