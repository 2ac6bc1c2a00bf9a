"""A hub's services over PostgreSQL with a leased indexer, as each of its processes has them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ParamSpec

from context_api import bootstrap
from context_api.adapters.index import (
    SqlIndexes,
    SqlLeases,
    SqlVectorPush,
    SqlVectorWork,
    open_pool,
)
from context_api.adapters.sql.dialect import open_database
from context_api.adapters.sql.libpq import libpq_url
from context_api.adapters.sql.unit_of_work import SqlUnitOfWork
from context_api.application import projects
from context_api.application.indexes import Indexes
from context_api.application.seeding import seed
from context_api.application.services import Facts, Services
from context_api.application.vectors import VectorIndex
from context_api.application.wakeup import Wakeup
from context_api.worker.leased import LeasedIndexer
from memory_core.clock import now
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.embedding.port import Embedder
from memory_core.ids import uuid7
from memory_core.operations import CreateProject, CreateSession, Erase, NewMessage
from memory_core.records import Kind, Role
from tests.support.services import caller, do

ME = caller()
P = ParamSpec("P")
TENANT = bootstrap.DEFAULT_TENANT


def in_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Runs an asynchronous test in a loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def awaited() -> None:
            await test(*args, **kwargs)

        asyncio.run(awaited())

    return run


@dataclass
class Hub:
    """What one process of the hub holds."""

    services: Services
    indexes: SqlIndexes
    leases: SqlLeases
    work: SqlVectorWork
    push: SqlVectorPush | None
    indexer: LeasedIndexer

    async def drain(self) -> int:
        """Works until nothing is left; returns how many turns that took."""
        turns = 0
        while await self.indexer.turn():
            turns += 1
            assert turns < 500, "the work never ends"
        return turns

    async def save(self, project: str, texts: Sequence[str]) -> str:
        """Saves a session with a message for each text; returns its id."""
        await projects.ensure(self.services, ME, CreateProject(slug=project))
        session = uuid7()
        messages = [NewMessage(role=Role.USER, text=text) for text in texts]
        body = CreateSession(id=session, title="a session", messages=messages)
        await do(self.services, ME, Kind.SESSION, body, project=project)
        return session

    async def erase(self, session: str) -> None:
        """Erases a session with its messages."""
        await do(self.services, ME, Kind.SESSION, Erase(), record_id=session)


@asynccontextmanager
async def hub(
    url: str,
    *,
    embedder: Embedder | None = None,
    vectors: VectorIndex | None = None,
    exact_chunks: int = 50_000,
    lease_s: float = 60.0,
    beat_s: float = 15.0,
    batch: int = 16,
    worker_id: str | None = None,
) -> AsyncIterator[Hub]:
    """Yields the services over a migrated database; nothing works by itself."""
    pool = open_pool(libpq_url(url), size=4)
    wakeup = Wakeup()
    indexes = SqlIndexes(pool, vectors, exact_chunks=exact_chunks, memory_bytes=64 << 20)
    database = open_database(url, asks=indexes.database)
    services = Services(
        uow=SqlUnitOfWork(database),
        wakeup=wakeup,
        indexes=Indexes(stores=indexes, load_embedder=lambda: embedder or HashingEmbedder(32)),
        tenant_id=TENANT,
        root_key=None,
        facts=Facts(
            version="0", mode="server", schema_revision="", started_at=now(), sqlite_version=""
        ),
        alive=database.alive,
    )
    push = None if vectors is None else SqlVectorPush(indexes, vectors)
    leases = SqlLeases(indexes, push, lease_s=lease_s)
    work = SqlVectorWork(indexes)
    indexer = LeasedIndexer(
        services, leases, work, push, batch=batch, beat_s=beat_s, worker_id=worker_id
    )
    try:
        await seed(services.uow, TENANT)
        async with database.hearing(wakeup.notify):
            yield Hub(services, indexes, leases, work, push, indexer)
    finally:
        pool.close()
        await database.dispose()
