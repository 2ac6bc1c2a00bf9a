"""Small chores now and then: when keys were used, emptying the database's own log."""

from __future__ import annotations

import asyncio

import structlog

from context_api.application.indexes import VectorQueue
from context_api.application.keys import note_uses
from context_api.application.services import Services
from memory_core.errors import ContextError

EVERY_S = 60.0

log = structlog.get_logger(__name__)


class Housekeeping:
    """Runs the chores every minute; one that fails waits for the next round."""

    def __init__(self, services: Services, queue: VectorQueue | None = None) -> None:
        """``queue`` is what is purged, where no other worker does."""
        self._services = services
        self._queue = queue

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await note_uses(self._services)
                await self._services.uow.checkpoint()
                await self._purge()
            except ContextError as error:
                log.warning("housekeeping failed", code=error.code, detail=error.detail)

    async def _purge(self) -> None:
        """Takes what was removed from the index out of its file too."""
        state = self._services.indexes.state
        if self._queue is not None and state.has_removed:
            state.has_removed = False
            await asyncio.to_thread(self._queue.purge)
