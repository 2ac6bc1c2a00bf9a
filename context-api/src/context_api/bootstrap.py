"""The composition root: the one place that knows which parts the hub is made of."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version

from context_api.adapters import data_dir
from context_api.adapters.mending_index import MendingIndex
from context_api.adapters.sql.engine import open_engines
from context_api.adapters.sql.schema import check_revision
from context_api.adapters.sql.unit_of_work import SqlUnitOfWork
from context_api.application.authenticate import hash_secret, split_token
from context_api.application.indexes import Indexes
from context_api.application.seeding import seed
from context_api.application.services import Facts, RootKey, Services
from context_api.application.wakeup import Wakeup
from context_api.model_loading import ModelLoader
from context_api.settings import Settings
from context_api.worker.housekeeping import Housekeeping
from context_api.worker.indexing import Indexer
from context_api.worker.warming import warm
from memory_core.clock import now

DEFAULT_TENANT = "00000000-0000-7000-8000-000000000001"
ROOT_OWNER = "admin"
MIB = 1024 * 1024


@asynccontextmanager
async def running(settings: Settings, loader: ModelLoader | None = None) -> AsyncIterator[Services]:
    """Yields the services over opened stores, with the background work running.

    Raises:
        Busy: another hub uses the data folder.
        Unavailable: the database has not the schema of this release, or cannot be opened.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(data_dir.opened(settings.data_dir))
        engines = open_engines(settings.database, synchronous=settings.sqlite_synchronous)
        stack.push_async_callback(engines.dispose)
        revision = await check_revision(engines.reader)
        store = await asyncio.to_thread(
            MendingIndex, folder / "index.db", memory_bytes=settings.index_memory_mb * MIB
        )
        stack.callback(store.close)
        indexes = Indexes(stores=store, load_embedder=loader or ModelLoader(settings))
        await asyncio.to_thread(indexes.try_embedder)
        services = Services(
            uow=SqlUnitOfWork(engines),
            wakeup=Wakeup(),
            indexes=indexes,
            tenant_id=DEFAULT_TENANT,
            root_key=_root_key(settings),
            facts=Facts(
                version=version("memory-context"),
                mode="embedded",
                schema_revision=revision,
                started_at=now(),
                sqlite_version=sqlite3.sqlite_version,
            ),
            min_score=settings.min_score,
        )
        await seed(services.uow, services.tenant_id)
        for work in (
            Indexer(services, store, settings.index_batch).run(),
            Housekeeping(services, store).run(),
            warm(services),
        ):
            stack.push_async_callback(_stop, asyncio.create_task(work))
        yield services


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _root_key(settings: Settings) -> RootKey | None:
    if settings.api_key is None:
        return None
    key_id, secret = split_token(settings.api_key.get_secret_value())
    return RootKey(
        key_id=key_id,
        secret_hash=hash_secret(secret),
        tenant_id=DEFAULT_TENANT,
        owner=ROOT_OWNER,
    )
