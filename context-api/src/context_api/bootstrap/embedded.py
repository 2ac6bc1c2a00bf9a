"""The parts of a hub on one machine: an index file in the data folder, one process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from context_api.adapters import data_dir
from context_api.adapters.mending_index import MendingIndex
from context_api.application.services import Services
from context_api.bootstrap.parts import IndexParts, Job
from context_api.settings import Settings
from context_api.worker.housekeeping import Housekeeping
from context_api.worker.indexing import Indexer
from context_api.worker.warming import warm

MIB = 1024 * 1024


async def open_indexes(settings: Settings, stack: AsyncExitStack) -> IndexParts:
    """Returns the index file in the data folder, which is locked until the stack is left.

    Raises:
        Busy: another hub uses the data folder.
    """
    folder = stack.enter_context(data_dir.opened(settings.data_dir))
    store = await asyncio.to_thread(
        MendingIndex, folder / "index.db", memory_bytes=settings.index_memory_mb * MIB
    )
    stack.callback(store.close)

    def jobs(services: Services) -> list[Job]:
        return [
            Indexer(services, store, settings.index_batch).run(),
            Housekeeping(services, store).run(),
            warm(services),
        ]

    return IndexParts(store, jobs)
