"""Asking recall: missing words are indexed first, and all that was read is of one state."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from context_api.application.indexes import IndexReading
from context_api.application.indexing import reach
from context_api.application.ports import Recalled
from context_api.application.services import Services
from context_api.application.standing import Standing, is_whole, standing_of
from context_api.application.viewing import viewer_of
from context_api.domain.caller import Caller
from memory_core.recall import pipeline as recall
from memory_core.recall.ports import RecordFilter
from memory_core.records import Document, Ref


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

    Raises:
        Busy: one's turn did not come in time.
    """
    records = services.uow.recalled(viewer_of(caller))
    tenant_id, embedder = caller.tenant_id, services.indexes.embedder
    ids = [str(project["id"]) for project in projects]

    def once(indexes: IndexReading, standing: Standing) -> Asked:
        source = _Watched(records, ids) if keep else records
        answer = recall.search(
            request, lexical=indexes, dense=indexes, records=source, embedder=embedder
        )
        lasting = (
            isinstance(source, _Watched)
            and is_whole(standing, answer)
            and standing.is_complete
            and indexes.is_still()
            and _is_same(services, standing, source.projects(), indexes)
        )
        return Asked(answer, standing, lasting)

    def at_first() -> Asked | None:
        indexes = services.indexes.of(tenant_id).read(ids)
        standing = standing_of(services, projects, indexes.progress)
        return None if standing.needs_words else once(indexes, standing)

    def at_last() -> Asked:
        indexes = services.indexes.of(tenant_id).read(ids)
        return once(indexes, standing_of(services, projects, indexes.progress))

    async with services.recalls.taken(caller.key_id):
        asked = await asyncio.to_thread(at_first)
        if asked is None:
            await reach(services, tenant_id, projects)
            asked = await asyncio.to_thread(at_last)
    return asked


class _Watched:
    """Records, each time with where the logs of their projects stood at that moment.

    Where they stand as they did before anything was read, nothing was written meanwhile.
    """

    def __init__(self, records: Recalled, project_ids: Sequence[str]) -> None:
        self._records = records
        self._project_ids = project_ids
        self._last: list[Document | None] | None = None

    def load(self, refs: Sequence[Ref], chosen: RecordFilter) -> Mapping[Ref, Document]:
        """Returns what `Recalled.load` does."""
        loaded, self._last = self._records.load_beside(refs, chosen, self._project_ids)
        return loaded

    def projects(self) -> list[Document | None]:
        """Returns the projects as they were when records were last loaded, if any were, or now."""
        if self._last is None:
            self._last = self._records.projects(self._project_ids)
        return self._last


def _is_same(
    services: Services,
    standing: Standing,
    found: Sequence[Document | None],
    indexes: IndexReading,
) -> bool:
    """Says if the projects, as ``found`` after all was read, stand where they stood before."""
    projects = [project for project in found if project is not None]
    return len(projects) == len(found) and standing == standing_of(
        services, projects, indexes.progress
    )
