"""Keeps the indexes up with the logs: work is whatever lies between progress and head."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import structlog

from context_api.application.indexes import VectorQueue
from context_api.application.indexing import catch_up, indexer_of
from context_api.application.services import Services
from memory_core.clock import now
from memory_core.embedding.port import Embedder
from memory_core.errors import ContextError

POLL_S = 2.0
RETRY_S = 5.0

# Those who write wait for an answer and the indexes do not: a batch of words or vectors waits
# until the log is quiet for the first number of seconds, but never longer than the second. A
# search needs no patience, it brings the words of its projects up to date itself.
WORDS_WAIT_S = (0.05, 1.0)
VECTORS_WAIT_S = (0.3, 10.0)

log = structlog.get_logger(__name__)


class Indexer:
    """Two loops: words follow the log at once, vectors as fast as the embedder goes.

    A loop never ends by a failure: it notes it, waits and goes on, and health shows it.
    """

    def __init__(self, services: Services, queue: VectorQueue, batch: int) -> None:
        self._services = services
        self._batch = batch
        self._queue = queue
        self._worded = asyncio.Event()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                words, vectors = self.index_words, self.index_vectors
                group.create_task(self._repeat(words, self._wait_for_log, WORDS_WAIT_S))
                group.create_task(self._repeat(vectors, self._wait_for_words, VECTORS_WAIT_S))
        finally:
            self._services.indexes.state.alive = False

    async def _repeat(
        self,
        step: Callable[[], Awaitable[bool]],
        wait: Callable[[int], Awaitable[None]],
        patience: tuple[float, float],
    ) -> None:
        state = self._services.indexes.state
        while True:
            await self._services.wakeup.quiet(*patience)
            seen = self._services.wakeup.round
            try:
                worked = await step()
            except ContextError as error:
                state.failures += 1
                state.last_error = f"{error.code}: {error.detail}"
                log.warning("indexing failed", code=error.code, detail=error.detail)
                await asyncio.sleep(RETRY_S)
                continue
            except Exception as error:
                state.failures += 1
                state.last_error = f"internal_error: {type(error).__name__}"
                log.exception("indexing failed")
                await asyncio.sleep(RETRY_S)
                continue
            state.failures = 0
            state.last_success_at = now()
            if not worked:
                await wait(seen)

    async def _wait_for_log(self, seen: int) -> None:
        await self._services.wakeup.wait(seen, POLL_S)

    async def _wait_for_words(self, _seen: int) -> None:
        self._worded.clear()
        try:
            async with asyncio.timeout(POLL_S):
                await self._worded.wait()
        except TimeoutError:
            return

    async def index_words(self) -> bool:
        """Takes one batch of every project that is behind; says if there was any.

        A project that cannot be indexed does not hold up the others; its failure is raised
        after their turn.
        """
        worked = False
        failure: Exception | None = None
        for tenant_id in await self._services.uow.tenants():
            viewer = indexer_of(tenant_id)
            async with self._services.uow.read(viewer) as tx:
                project_ids = await tx.all_project_ids()
            for project_id in project_ids:
                try:
                    worked |= await catch_up(self._services, viewer, project_id)
                except Exception as error:  # noqa: BLE001 - raised below
                    failure = error
        if worked:
            self._worded.set()
        if failure is not None:
            raise failure
        return worked

    async def index_vectors(self) -> bool:
        """Embeds one batch of chunks that have no vector; says if there was any."""
        indexes = self._services.indexes
        await asyncio.to_thread(indexes.try_embedder)
        embedder = indexes.embedder
        if embedder is None:
            return False
        pending = await asyncio.to_thread(self._queue.pending_texts, self._batch)
        if not pending:
            return False
        await asyncio.to_thread(self._embed, embedder, pending)
        return True

    def _embed(self, embedder: Embedder, pending: list[tuple[str, str]]) -> None:
        try:
            vectors = embedder.embed([text for _, text in pending])
        except ContextError:
            if len(pending) == 1:
                raise
            self._embed_singly(embedder, pending)
            return
        good = np.flatnonzero(np.isfinite(vectors).all(axis=1)).tolist()
        hashes = [content_hash for content_hash, _ in pending]
        self._queue.put_vectors(embedder.model, [(hashes[row], vectors[row]) for row in good])
        for row in set(range(len(hashes))).difference(good):
            self._queue.mark_dead(hashes[row], "the embedder gave numbers that are not finite")

    def _embed_singly(self, embedder: Embedder, pending: list[tuple[str, str]]) -> None:
        """Finds the texts that a batch failed on; all failing means that the embedder is down."""
        failed: list[tuple[str, str]] = []
        for content_hash, text in pending:
            try:
                vector = embedder.embed([text])[0]
            except ContextError as error:
                failed.append((content_hash, f"{error.code}: {error.detail}"))
                if len(failed) > len(pending) // 2:
                    raise
            else:
                self._queue.put_vectors(embedder.model, [(content_hash, vector)])
        for content_hash, reason in failed:
            self._queue.mark_dead(content_hash, reason)
