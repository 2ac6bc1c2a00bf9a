"""Asking recall: missing words are indexed first, and all that was read is of one state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from context_api.application import query_vectors
from context_api.application.indexing import reach
from context_api.application.ports import Recalled
from context_api.application.services import Services
from context_api.application.standing import Standing, is_whole, standing_of
from context_api.application.viewing import viewer_of
from context_api.domain.caller import Caller
from memory_core.recall import pipeline as recall
from memory_core.records import Document


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer of recall, and where everything stood.

    ``lasting`` says that nothing was missing, and that nothing has moved since the projects were
    looked at: all that was read since then is of that moment.
    """

    answer: recall.Answer
    standing: Standing
    lasting: bool


async def ask(
    services: Services,
    caller: Caller,
    projects: Sequence[Document],
    request: recall.SearchRequest,
    *,
    keep: bool = True,
) -> Asked:
    """Runs recall in a thread, over ``projects`` as they were just looked at.

    Without ``keep`` it is not asked whether the answer may be kept.
    """
    records = services.uow.recalled(viewer_of(caller))
    tenant_id, embedder = caller.tenant_id, services.indexes.embedder
    wanted = await query_vectors.fetch(services.caches, embedder, tenant_id, request.query)

    def once(standing: Standing) -> Asked:
        store = services.indexes.of(tenant_id)
        answer = recall.search(
            request, lexical=store, dense=store, records=records, embedder=embedder
        )
        whole = keep and is_whole(standing, answer) and standing.is_complete
        return Asked(answer, standing, whole and _still(services, tenant_id, standing, records))

    def at_first() -> Asked | None:
        standing = standing_of(services, tenant_id, projects)
        return None if standing.needs_words else once(standing)

    def at_last() -> Asked:
        return once(standing_of(services, tenant_id, projects))

    asked = await asyncio.to_thread(at_first)
    if asked is None:
        await reach(services, tenant_id, projects)
        asked = await asyncio.to_thread(at_last)
    if wanted:
        await query_vectors.share(services.caches, embedder, tenant_id, request.query)
    return asked


def _still(services: Services, tenant_id: str, standing: Standing, records: Recalled) -> bool:
    """Says if everything stands as it did, so that what was read meanwhile is of that moment."""
    found = records.projects([position.project_id for position in standing.positions])
    projects = [project for project in found if project is not None]
    return len(projects) == len(found) and standing == standing_of(services, tenant_id, projects)
