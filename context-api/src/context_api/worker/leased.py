"""An indexer that shares the work with others: one project at a time, under a lease."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Coroutine
from typing import Any

import structlog

from context_api.application.index_work import (
    Claim,
    LeaseLost,
    Leases,
    VectorPush,
    VectorWork,
    WaitingChunk,
)
from context_api.application.indexing import catch_up, indexer_of, live_records
from context_api.application.services import Services
from context_api.worker.gathering import SEND_WAIT_S, WORK_WAIT_S, Gathering
from context_api.worker.lease_embedding import embed
from memory_core.clock import now
from memory_core.embedding.port import Embedder
from memory_core.errors import ContextError, Corrupt, Unavailable
from memory_core.ids import uuid7
from memory_core.recall.prepare import embedded_texts

POLL_S = 3.0
RETRY_S = 5.0
BEAT_S = 15.0
SLICE_S = 5.0
"""How long one project is worked on while others wait; its words come before its vectors."""

PURGE_EVERY_S = 3_600.0
FAILING_S = 60.0
TEXT_GONE = "the record does not hold the indexed text any more"

log = structlog.get_logger(__name__)


class LeasedIndexer:
    """Takes the project longest undone, brings its words up to its log, then its vectors.

    Any number may run, in as many processes. One that is killed or stalls loses its lease, and
    another takes the project over where the last committed batch ended. A notification wakes
    it early; that it looks every few seconds is what the work relies on.
    """

    def __init__(
        self,
        services: Services,
        leases: Leases,
        work: VectorWork,
        push: VectorPush | None = None,
        *,
        batch: int = 64,
        beat_s: float = BEAT_S,
        worker_id: str | None = None,
    ) -> None:
        """``batch`` texts are embedded at once; ``beat_s`` is a fraction of the lease."""
        self.worker_id = worker_id or f"{socket.gethostname()}:{os.getpid()}:{uuid7()[-12:]}"
        self._services = services
        self._leases = leases
        self._work = work
        self._push = push
        self._batch = batch
        self._beat_s = beat_s
        self._purge_at = time.monotonic() + PURGE_EVERY_S
        self._barren: set[str] = set()
        self._gathering: Gathering | None = None
        self._failing: dict[str, float] = {}

    async def run(self) -> None:
        """Runs until it is cancelled. A failure is noted and shown by health."""
        state = self._services.indexes.state
        self._gathering = Gathering(self._services.wakeup, *SEND_WAIT_S)
        try:
            while True:
                await self._services.wakeup.quiet(*WORK_WAIT_S)
                seen = self._services.wakeup.round
                try:
                    worked = await self.turn()
                    await self._purge()
                except Exception as error:  # noqa: BLE001 - told to the log and to health
                    self._note("", error)
                    await asyncio.sleep(RETRY_S)
                    continue
                if not worked:
                    self._barren.clear()
                    await self._services.wakeup.wait(seen, POLL_S)
        finally:
            state.alive = False

    async def turn(self) -> bool:
        """Works on one project, if there is one with work; says if there may be more to do.

        What goes wrong with the project is noted; it is then left alone for a while, and the
        others have their turn.

        Raises:
            ContextError: the projects with work cannot be found.
        """
        await asyncio.to_thread(self._services.indexes.try_embedder)
        if self._push is not None:
            await asyncio.to_thread(self._push.probe)
        claim = await asyncio.to_thread(self._leases.claim, self.worker_id)
        if claim is None:
            self._succeeded("")
            return False
        failure: Exception | None = None
        done = False
        try:
            done = await self._while_held(claim, self._index(claim))
        except LeaseLost:
            log.warning("a project was taken over", project=claim.project_id)
            return True
        except Exception as error:  # noqa: BLE001 - told to the log and to health
            failure = error
        finally:
            # Also when this worker is told to stop: the next need not wait for the lease to end.
            released = self._release(claim, succeeded=failure is None)
            await asyncio.shield(asyncio.ensure_future(released))
        if failure is not None:
            self._note(claim.project_id, failure)
            return True
        self._succeeded(claim.project_id)
        return self._may_go_on(claim, done)

    def _may_go_on(self, claim: Claim, done: bool) -> bool:
        """Says if looking again at once is worth it: not for a project that nothing moves."""
        if done:
            self._barren.clear()
            return True
        seen = claim.project_id in self._barren
        self._barren.add(claim.project_id)
        return not seen

    def _note(self, project_id: str, error: Exception) -> None:
        """Lets health show a failure until the project succeeds, or a minute has passed."""
        state = self._services.indexes.state
        if isinstance(error, ContextError):
            state.last_error = f"{error.code}: {error.detail}"
            log.warning("indexing failed", project=project_id, error=state.last_error)
        else:
            state.last_error = f"internal_error: {type(error).__name__}"
            log.error("indexing failed", project=project_id, exc_info=error)
        self._failing[project_id] = time.monotonic()
        state.failures = len(self._failing)

    def _succeeded(self, project_id: str) -> None:
        state = self._services.indexes.state
        state.last_success_at = now()
        self._failing.pop(project_id, None)
        # Another worker may have done since what failed here.
        since = time.monotonic() - FAILING_S
        self._failing = {name: at for name, at in self._failing.items() if at > since}
        state.failures = len(self._failing)

    async def _while_held(self, claim: Claim, work: Coroutine[Any, Any, bool]) -> bool:
        """Does the work while the lease is prolonged.

        Raises:
            LeaseLost: another worker has taken the project over; the work is abandoned.
        """
        doing = asyncio.create_task(work)
        beating = asyncio.create_task(self._beat(claim))
        try:
            await asyncio.wait({doing, beating}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                beating.result()
            return await doing
        finally:
            for task in (doing, beating):
                task.cancel()
            await asyncio.gather(doing, beating, return_exceptions=True)

    async def _beat(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            try:
                await asyncio.to_thread(self._leases.renew, claim)
            except LeaseLost:
                raise
            except ContextError as error:
                # The lease lasts for several beats.
                log.warning("a lease was not prolonged", code=error.code)

    async def _release(self, claim: Claim, *, succeeded: bool) -> None:
        try:
            await asyncio.to_thread(self._leases.release, claim, succeeded=succeeded)
        except ContextError as error:
            log.warning("a lease was not given back", code=error.code)

    async def _index(self, claim: Claim) -> bool:
        """Words, vectors, and what the vector server lacks, for a slice of time.

        Says if there was any of it.
        """
        end = time.monotonic() + SLICE_S
        done = False
        await asyncio.to_thread(self._work.prepare, claim)
        while True:
            worded = await self._index_words(claim, end)
            embedded = await self._index_vectors(claim)
            done |= worded or embedded
            if not (worded or embedded) or time.monotonic() > end:
                break
        if await asyncio.to_thread(self._work.finish, claim):
            log.info("vectors of another model are in use", project=claim.project_id)
            done = True
        return await self._send(claim) or done

    async def _index_words(self, claim: Claim, end: float) -> bool:
        viewer = indexer_of(claim.tenant_id)
        worked = False
        while await catch_up(self._services, viewer, claim.project_id):
            worked = True
            if time.monotonic() > end:
                break
        return worked

    async def _index_vectors(self, claim: Claim) -> bool:
        """Embeds one batch; says if there was any."""
        embedder = self._services.indexes.embedder
        if embedder is None:
            return False
        waiting = await asyncio.to_thread(self._work.waiting, claim, self._batch)
        if not waiting:
            return False
        texts, at_head = await self._texts(claim, waiting)
        if texts:
            await asyncio.to_thread(self._embed, claim, embedder, waiting, texts)
        if at_head:
            for chunk in waiting:
                if chunk.content_hash not in texts:
                    await asyncio.to_thread(self._work.mark_dead, claim, chunk, TEXT_GONE)
        return bool(texts) or at_head

    async def _texts(
        self, claim: Claim, waiting: list[WaitingChunk]
    ) -> tuple[dict[str, str], bool]:
        """Returns the texts by content hash, cut again from the records as they are now.

        Those of records that have changed since are missing: their words come first. The flag
        tells that none has, so that what is missing will stay so.
        """
        progress = await self._services.indexes.progress(claim.tenant_id, claim.project_id)
        async with self._services.uow.read(indexer_of(claim.tenant_id)) as tx:
            head = await tx.log.head(claim.project_id)
            records = await live_records(tx, {chunk.ref for chunk in waiting})

        def cut() -> dict[str, str]:
            asked = {chunk.content_hash for chunk in waiting}
            return {
                hashed.hex(): text
                for record in records.values()
                for hashed, text in embedded_texts(record).items()
                if hashed.hex() in asked
            }

        at_head = head is not None and progress.lexical_seq >= head.seq
        return await asyncio.to_thread(cut), at_head

    def _embed(
        self, claim: Claim, embedder: Embedder, waiting: list[WaitingChunk], texts: dict[str, str]
    ) -> None:
        done = embed(embedder, list(texts.items()))
        self._work.put_vectors(claim, done.vectors)
        for chunk in waiting:
            if chunk.content_hash in done.failed:
                self._work.mark_dead(claim, chunk, done.failed[chunk.content_hash])

    async def _send(self, claim: Claim) -> bool:
        """Brings the vector server up to date; while it is away nothing else waits for it."""
        push = self._push
        if push is None or not await asyncio.to_thread(push.probe):
            return False
        if self._gathering is not None and not self._gathering.is_due(claim.project_id):
            return False
        try:
            sent = await asyncio.to_thread(push.push, claim)
            wrong = await asyncio.to_thread(push.audit, claim)
        except (Unavailable, Corrupt) as error:
            log.warning("the vector server is behind", code=error.code, detail=error.detail)
            return False
        if wrong:
            log.warning("the vector server was mended", project=claim.project_id, vectors=wrong)
        return sent or wrong > 0

    async def _purge(self) -> None:
        if time.monotonic() < self._purge_at:
            return
        self._purge_at = time.monotonic() + PURGE_EVERY_S
        for tenant_id in await self._services.uow.tenants():
            await asyncio.to_thread(self._work.purge, tenant_id)
