"""The composition root: the one place that knows which parts the hub is made of."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from context_api.adapters import data_dir
from context_api.adapters.mending_index import MendingIndex
from context_api.adapters.sql.database import Database
from context_api.adapters.sql.dialect import Dialect, open_database
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
        Unavailable: the database has not the schema of this release, cannot be opened, or is
            set so that it loses what it acknowledged or shows one tenant another's rows.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(data_dir.opened(settings.data_dir))
        wakeup = Wakeup()
        database, revision = await _database(settings, wakeup, stack)
        store, indexes = await _indexes(settings, folder, loader, stack)
        services = Services(
            uow=SqlUnitOfWork(database),
            wakeup=wakeup,
            indexes=indexes,
            tenant_id=DEFAULT_TENANT,
            root_key=_root_key(settings),
            facts=_facts(database, revision),
            min_score=settings.min_score,
        )
        await seed(services.uow, services.tenant_id)
        _start_work(settings, services, store, stack)
        yield services


async def _database(
    settings: Settings, wakeup: Wakeup, stack: AsyncExitStack
) -> tuple[Database, str]:
    """Returns the database that the settings name, checked, and its revision."""
    database = open_database(settings.database, synchronous=settings.sqlite_synchronous)
    stack.push_async_callback(database.dispose)
    revision = await check_revision(database)
    await database.check()
    await stack.enter_async_context(database.hearing(wakeup.notify))
    return database, revision


async def _indexes(
    settings: Settings, folder: Path, loader: ModelLoader | None, stack: AsyncExitStack
) -> tuple[MendingIndex, Indexes]:
    """Returns the index file in the data folder, and the indexes over it."""
    store = await asyncio.to_thread(
        MendingIndex, folder / "index.db", memory_bytes=settings.index_memory_mb * MIB
    )
    stack.callback(store.close)
    indexes = Indexes(stores=store, load_embedder=loader or ModelLoader(settings))
    await asyncio.to_thread(indexes.try_embedder)
    return store, indexes


def _facts(database: Database, revision: str) -> Facts:
    return Facts(
        version=version("memory-context"),
        mode="embedded" if database.dialect is Dialect.SQLITE else "server",
        schema_revision=revision,
        started_at=now(),
        sqlite_version=sqlite3.sqlite_version,
    )


def _start_work(
    settings: Settings, services: Services, store: MendingIndex, stack: AsyncExitStack
) -> None:
    """Starts what runs beside the requests, and stops it when the stack is left."""
    for work in (
        Indexer(services, store, settings.index_batch).run(),
        Housekeeping(services, store).run(),
        warm(services),
    ):
        stack.push_async_callback(_stop, asyncio.create_task(work))


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
