"""Bringing the words of a project's index up to its log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from context_api.application.ports import ReadTx, Viewer
from context_api.application.services import Services
from memory_core.errors import ContextError
from memory_core.recall.indexed import index_record
from memory_core.recall.ports import IndexRecord
from memory_core.records import RECALLED_KINDS, Document, Kind, Ref

CHANGES = 500
WAIT_S = 1.0


def indexer_of(tenant_id: str) -> Viewer:
    """Returns the eyes of the indexer, which reads for everyone."""
    return Viewer(tenant_id=tenant_id, actor="", sees_private=True)


async def catch_up(services: Services, viewer: Viewer, project_id: str) -> bool:
    """Indexes the next changes of a project's log; says if there were any.

    Reads the rows as they are now, never what an event said, so repeating it is harmless.
    """
    indexes = services.indexes
    store = indexes.of(viewer.tenant_id)
    async with indexes.lock(project_id):
        progress = await indexes.progress(viewer.tenant_id, project_id)
        async with services.uow.read(viewer) as tx:
            head = await tx.log.head(project_id)
            if head is not None and progress.lexical_seq > head.seq:
                # The log is older than the index: a backup was restored, or a power cut took
                # its last events. What comes next under these positions is something else.
                await asyncio.to_thread(store.reset, project_id)
                return True
            changes = await tx.log.changes(project_id, progress.lexical_seq, CHANGES)
            if not changes:
                return False
            refs = {Ref(change.kind, change.record_id) for change in changes}
            refs = {ref for ref in refs if ref.kind in RECALLED_KINDS}
            live = await live_records(tx, refs)
        records = list(live.values())
        gone = [ref for ref in refs if ref not in live]
        upto = changes[-1].seq
        after = progress.lexical_seq
        await asyncio.to_thread(store.apply, project_id, upto, records, gone, after_seq=after)
        indexes.state.has_removed |= bool(gone)
    return True


async def live_records(tx: ReadTx, refs: Iterable[Ref]) -> dict[Ref, IndexRecord]:
    """Returns what is indexed of those records that are there."""
    live = await tx.records.many(refs)
    sessions = await _sessions_of(tx, live)
    return {
        ref: index_record(ref, document, sessions.get(str(document.get("session_id"))))
        for ref, document in live.items()
    }


async def _sessions_of(tx: ReadTx, live: dict[Ref, Document]) -> dict[str, Document]:
    """Returns the sessions of live messages, whose title and privacy they share."""
    ids = {
        str(document["session_id"]) for ref, document in live.items() if ref.kind is Kind.MESSAGE
    }
    found = await tx.records.many(Ref(Kind.SESSION, identity) for identity in ids)
    return {ref.id: document for ref, document in found.items()}


async def reach(services: Services, tenant_id: str, projects: Sequence[Document]) -> int:
    """Indexes the words of ``projects`` up to their heads, so that a read finds what was written.

    Takes at most about a second; a longer backlog is left to the indexer, and so is a failure,
    for on a full disk reading must go on. Returns the sum of the positions reached.
    """
    viewer = indexer_of(tenant_id)
    end = time.monotonic() + WAIT_S
    reached = 0
    for project in projects:
        project_id, head = str(project["id"]), int(str(project["head"]))
        progress = await services.indexes.progress(tenant_id, project_id)
        while progress.lexical_seq < head and time.monotonic() < end:
            try:
                if not await catch_up(services, viewer, project_id):
                    break
            except ContextError:
                break
            progress = await services.indexes.progress(tenant_id, project_id)
        reached += progress.lexical_seq
    return reached
