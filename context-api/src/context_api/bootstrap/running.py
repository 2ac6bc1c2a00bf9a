"""Puts the hub together from the settings, and takes it apart again."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version

from pydantic import SecretStr

from context_api.adapters.cache.opening import Opened, open_caching
from context_api.adapters.sql.database import Database
from context_api.adapters.sql.dialect import Dialect, open_database
from context_api.adapters.sql.schema import check_revision
from context_api.adapters.sql.unit_of_work import SqlUnitOfWork
from context_api.application.authenticate import hash_secret, split_token
from context_api.application.caching import Caches
from context_api.application.indexes import Indexes
from context_api.application.measuring import Measures
from context_api.application.query_vectors import CachedQueries
from context_api.application.seeding import seed
from context_api.application.services import Facts, RootKey, Services
from context_api.application.wakeup import Wakeup
from context_api.bootstrap.parts import IndexParts, Job
from context_api.domain.weak_secrets import refuse_weak
from context_api.model_loading import ModelLoader
from context_api.settings import Settings
from context_api.worker.watching import watch
from memory_core.clock import now
from memory_core.errors import Unavailable

DEFAULT_TENANT = "00000000-0000-7000-8000-000000000001"
ROOT_OWNER = "admin"


@asynccontextmanager
async def running(settings: Settings, loader: ModelLoader | None = None) -> AsyncIterator[Services]:
    """Yields the services over opened stores, with the background work running.

    Raises:
        Busy: another hub uses the data folder.
        Unavailable: the database has not the schema of this release, cannot be opened, or is
            set so that it loses what it acknowledged or shows one tenant another's rows; or a
            secret is one that anybody could guess.
    """
    _check_secrets(settings)
    async with AsyncExitStack() as stack:
        parts = await _open_indexes(settings, stack)
        wakeup = Wakeup()
        database, revision = await _database(settings, parts, wakeup, stack)
        load = loader or ModelLoader(settings)
        indexes = Indexes(stores=parts.stores, load_embedder=lambda: CachedQueries(load()))
        await asyncio.to_thread(indexes.try_embedder)
        caching = _caching(settings)
        stack.push_async_callback(caching.close)
        services = Services(
            uow=SqlUnitOfWork(database),
            wakeup=wakeup,
            indexes=indexes,
            tenant_id=DEFAULT_TENANT,
            root_key=_key(settings.api_key, ROOT_OWNER),
            metrics_key=_key(settings.metrics_key, "metrics"),
            facts=_facts(database, revision),
            alive=database.alive,
            min_score=settings.min_score,
            caches=Caches(store=caching.cache),
            limiter=caching.limiter,
            cache_answers=caching.answers,
            vectors=parts.vectors,
            model_dir=settings.local_model if settings.embedding_provider == "onnx" else None,
            measures=Measures(
                caches=caching.cache.counts,
                missing_parts=lambda: [*indexes.degraded(), *caching.missing],
            ),
        )
        if settings.role != "worker":
            # A worker's role in the database may not, and has nothing to do before.
            await seed(services.uow, services.tenant_id)
        for job in (*parts.jobs(services), watch(services)):
            _start(job, stack)
        yield services


async def _open_indexes(settings: Settings, stack: AsyncExitStack) -> IndexParts:
    """Returns the parts that differ; those of the other mode are not even imported."""
    if settings.is_server:
        from context_api.bootstrap import server  # noqa: PLC0415

        return await server.open_indexes(settings, stack)
    from context_api.bootstrap import embedded  # noqa: PLC0415

    return await embedded.open_indexes(settings, stack)


async def _database(
    settings: Settings, parts: IndexParts, wakeup: Wakeup, stack: AsyncExitStack
) -> tuple[Database, str]:
    """Returns the database that the settings name, checked, and its revision."""
    database = open_database(
        settings.database, synchronous=settings.sqlite_synchronous, asks=parts.asks
    )
    stack.push_async_callback(database.dispose)
    revision = await check_revision(database)
    await database.check()
    await stack.enter_async_context(database.hearing(wakeup.notify))
    return database, revision


def _caching(settings: Settings) -> Opened:
    secret = settings.cache_secret
    return open_caching(
        redis_url=settings.redis_url.get_secret_value(),
        secret=secret.get_secret_value().encode() if secret else b"",
        limit_per_minute=settings.rate_limit_per_minute or None,
    )


def _check_secrets(settings: Settings) -> None:
    if reason := refuse_weak(settings.secrets, embedded=not settings.is_server):
        raise Unavailable(reason)


def _facts(database: Database, revision: str) -> Facts:
    return Facts(
        version=version("memory-context"),
        mode="embedded" if database.dialect is Dialect.SQLITE else "server",
        schema_revision=revision,
        started_at=now(),
        sqlite_version=sqlite3.sqlite_version,
    )


def _start(job: Job, stack: AsyncExitStack) -> None:
    """Starts what runs beside the requests; it is stopped when the stack is left."""
    stack.push_async_callback(_stop, asyncio.create_task(job))


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _key(token: SecretStr | None, owner: str) -> RootKey | None:
    if token is None:
        return None
    key_id, secret = split_token(token.get_secret_value())
    return RootKey(
        key_id=key_id,
        secret_hash=hash_secret(secret),
        tenant_id=DEFAULT_TENANT,
        owner=owner,
    )
