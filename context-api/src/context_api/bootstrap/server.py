"""The parts of a team's hub: index in PostgreSQL, vectors in Chroma, several processes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from context_api.adapters.index import (
    SqlIndexes,
    SqlLeases,
    SqlVectorPush,
    SqlVectorWork,
    open_pool,
)
from context_api.adapters.index.care import SqlIndexSource
from context_api.adapters.sql.libpq import libpq_url
from context_api.adapters.vector.chroma import ChromaVectors
from context_api.application.index_care_source import IndexSource
from context_api.application.services import Services
from context_api.application.vectors import VectorIndex
from context_api.bootstrap.parts import IndexParts, Job
from context_api.settings import Settings
from context_api.worker.housekeeping import Housekeeping
from context_api.worker.leased import LeasedIndexer
from context_api.worker.vector_watch import watch_vectors
from context_api.worker.warming import warm

MIB = 1024 * 1024

INDEX_CONNECTIONS = 8
"""A search takes one at a time, a worker two or three; PostgreSQL has a hundred by default."""


async def open_indexes(settings: Settings, stack: AsyncExitStack) -> IndexParts:
    """Returns the indexes in PostgreSQL, with Chroma beside them if there is a URL of it."""
    pool = open_pool(libpq_url(settings.database), size=INDEX_CONNECTIONS)
    stack.callback(pool.close)
    vectors = _vectors(settings)
    if vectors is not None:
        stack.callback(vectors.close)
    indexes = SqlIndexes(
        pool,
        vectors,
        exact_chunks=settings.exact_search_chunks,
        memory_bytes=settings.index_memory_mb * MIB,
    )

    def jobs(services: Services) -> list[Job]:
        found: list[Job] = [Housekeeping(services).run()]
        if vectors is not None:
            found.append(watch_vectors(services, vectors))
        if settings.role != "api":
            push = None if vectors is None else SqlVectorPush(indexes, vectors)
            leases = SqlLeases(indexes, push)
            work = SqlVectorWork(indexes)
            found.append(
                LeasedIndexer(services, leases, work, push, batch=settings.index_batch).run()
            )
        if settings.role != "worker":
            found.append(warm(services))
        return found

    return IndexParts(indexes, jobs, _cared_for(indexes, vectors), indexes.database)


def _cared_for(
    indexes: SqlIndexes, vectors: ChromaVectors | None
) -> Callable[[str, str], tuple[VectorIndex, IndexSource]] | None:
    if vectors is None:
        return None

    def of(tenant_id: str, project_id: str) -> tuple[VectorIndex, IndexSource]:
        source = SqlIndexSource(
            indexes.database, tenant_id, project_id, model=indexes.model.current
        )
        return vectors, source

    return of


def _vectors(settings: Settings) -> ChromaVectors | None:
    if not settings.chroma_url:
        return None
    token = settings.chroma_token
    return ChromaVectors(settings.chroma_url, token=token.get_secret_value() if token else None)
