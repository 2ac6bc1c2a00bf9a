"""The store as recall sees it from its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from context_api.application.ports import UnitOfWork, Viewer
from memory_core.recall.ports import RecordFilter
from memory_core.records import Document, Ref


class LoopRecords:
    """Answers recall's thread from the event loop that owns the database connections.

    Made in the loop, used in the thread.
    """

    def __init__(self, uow: UnitOfWork, viewer: Viewer) -> None:
        self._uow = uow
        self._viewer = viewer
        self._loop = asyncio.get_running_loop()

    def load(self, refs: Sequence[Ref], chosen: RecordFilter) -> Mapping[Ref, Document]:
        """Returns the documents of those ``refs`` that are visible and pass the filter."""
        return asyncio.run_coroutine_threadsafe(self._load(refs, chosen), self._loop).result()

    async def _load(self, refs: Sequence[Ref], chosen: RecordFilter) -> Mapping[Ref, Document]:
        async with self._uow.read(self._viewer) as tx:
            return await tx.records.many(refs, chosen)
