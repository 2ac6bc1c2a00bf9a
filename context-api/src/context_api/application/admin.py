"""Checks and repairs by an admin: verify the logs, rebuild the views, say how it goes."""

from __future__ import annotations

import asyncio
import time

from context_api.application import audit
from context_api.application.health import cache_report
from context_api.application.ports import Head, ReadTx, Viewer
from context_api.application.replay import Replay
from context_api.application.services import Services
from context_api.application.viewing import viewer_of
from context_api.domain.caller import ADMIN, Caller
from memory_core.clock import now, to_datetime
from memory_core.errors import Corrupt
from memory_core.events import Event, genesis, verify_event
from memory_core.records import Document, Kind


async def verify(services: Services, caller: Caller) -> Document:
    """Checks every log against its digests and every view against its log.

    The answer names the first event that was changed, and every kind whose rows differ from
    what the log says.
    """
    caller.require(ADMIN)
    async with services.uow.read(viewer_of(caller)) as tx:
        return await verified(tx)


async def verified(tx: ReadTx) -> Document:
    """Returns what `verify` says of all that ``tx`` sees."""
    reports = [await _verify_project(tx, found) for found in await tx.all_project_ids()]
    return {
        "ok": all(report["ok"] for report in reports),
        "projects": [*reports],
        "events": sum(int(str(report["events"])) for report in reports),
    }


async def _verify_project(tx: ReadTx, project_id: str) -> Document:
    stored = await tx.records.stored(Kind.PROJECT, project_id)
    head = await tx.log.head(project_id)
    replay = Replay()
    reached, problem = Head(0, genesis(project_id), ""), None
    try:
        async for events in tx.log.pages(project_id):
            for event in events:
                reached = _follow(reached, event)
                await replay.take(tx, event)
    except Corrupt as error:
        problem = error.detail
    if problem is None and (head is None or (head.seq, head.digest) != reached.position):
        problem = f"the log ends at {reached.seq}, which is not where the project's head is"
    differing = [] if problem else await replay.differing(tx, project_id)
    return {
        "project": project_id,
        "slug": stored["slug"] if stored else None,
        "events": reached.seq,
        "ok": problem is None and not differing,
        "problem": problem,
        "differing_views": [*differing],
    }


def _follow(reached: Head, event: Event) -> Head:
    """Returns the head after ``event``, which must be the next one and whole."""
    if event.seq != reached.seq + 1:
        raise Corrupt(f"event {reached.seq + 1} is missing")
    verify_event(reached.digest, event)
    return Head(event.seq, event.digest, reached.epoch)


async def rebuild(services: Services, caller: Caller) -> Document:
    """Empties every view and makes it again from the log, one project at a time.

    Readers see each project as it was until its views are whole again. Its index starts anew and
    catches up in the background; a search waits for the words. The answer's digests cover every
    row of every view before and after.
    """
    caller.require(ADMIN)
    started = time.perf_counter()
    viewer = viewer_of(caller)
    async with services.maintenance:
        await audit.announce(services, caller, "views.rebuild")
        async with services.uow.read(viewer) as tx:
            before = await tx.view_digest()
            project_ids = await tx.all_project_ids()
        for project_id in project_ids:
            await _rebuild_project(services, viewer, project_id)
            async with services.indexes.lock(project_id):
                await asyncio.to_thread(services.indexes.of(viewer.tenant_id).reset, project_id)
        async with services.uow.read(viewer) as tx:
            after = await tx.view_digest()
    return {
        "before": before.hex(),
        "after": after.hex(),
        "equal": before == after,
        "projects": len(project_ids),
        "took_ms": round(1000 * (time.perf_counter() - started), 1),
    }


async def _rebuild_project(services: Services, viewer: Viewer, project_id: str) -> None:
    async with services.uow.write(viewer.tenant_id) as tx:
        await tx.hold(project_id)
        await tx.clear_views(project_id)
        async for events in tx.log.pages(project_id):
            await tx.project(events)
        await tx.recount_loads(project_id)
        await tx.commit()


async def status(services: Services, caller: Caller) -> Document:
    """Says what runs, how far each index is, and what is wrong with the command that mends it."""
    caller.require(ADMIN)
    async with services.uow.read(viewer_of(caller)) as tx:
        heads = {p: await tx.log.head(p) for p in await tx.all_project_ids()}
    index: list[Document] = []
    for project_id, head in heads.items():
        progress = await services.indexes.progress(caller.tenant_id, project_id)
        index.append(
            {
                "project": project_id,
                "head": head.seq if head else 0,
                "lexical_seq": progress.lexical_seq,
                "vector_seq": progress.vector_seq,
                "pending": progress.pending,
                "dead": progress.dead,
            }
        )
    facts = services.facts
    uptime = to_datetime(now()) - to_datetime(facts.started_at)
    return {
        "version": facts.version,
        "mode": facts.mode,
        "schema_revision": facts.schema_revision,
        "sqlite_version": facts.sqlite_version,
        "started_at": facts.started_at,
        "uptime_s": round(uptime.total_seconds(), 1),
        "model": services.indexes.model_report(),
        "index": [*index],
        "degraded": [*services.indexes.degraded_report(), *await cache_report(services)],
    }
