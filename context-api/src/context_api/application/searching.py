"""Search: the question goes through recall, the store decides what comes out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from context_api.application.asking import Asked, ask
from context_api.application.caching import Computed
from context_api.application.ports import Recalled
from context_api.application.query_vectors import SharedVector
from context_api.application.services import Services
from context_api.application.standing import Standing, answer_key
from context_api.application.viewing import no_project, viewer_of
from context_api.domain.caller import READ, Caller
from memory_core.errors import InvalidInput
from memory_core.recall import pipeline as recall
from memory_core.recall.ports import RecordFilter
from memory_core.recall.shown import shown_hit, shown_timings
from memory_core.records import Document
from memory_core.requests import MAX_PROJECTS, SearchRequest


async def search(services: Services, caller: Caller, request: SearchRequest) -> Document:
    """Returns what answers a question, best first, or that nothing relevant is known.

    A write that was answered before the call is found by its words; ``degraded`` names parts
    of recall that were missing. An equal question gets the kept answer until something is
    written or indexed, at most `recall.moment.BUCKET_S` seconds; with ``explain`` it never does.

    Raises:
        ProjectNotFound: a named project is not there for the caller.
        InvalidInput: ``as_of`` without exactly one project.
    """
    caller.require(READ)
    started = time.perf_counter()
    if request.as_of is not None and len(request.projects) != 1:
        raise InvalidInput("as_of is a position in one project's log; name exactly one project")

    moment = services.caches.moment()
    projects = await scope_of(services.uow.recalled(viewer_of(caller)), request.projects)
    asked = request.model_dump(mode="json", exclude={"projects", "explain"})
    key = answer_key("search", services, caller, projects, asked=asked, moment=moment)

    async def compute() -> Computed:
        question = _question(services, caller, request, projects, moment)
        made = await ask(services, caller, projects, question, keep=not request.explain)
        document = _document(services, made, explain=request.explain)
        return Computed(document, made.lasting)

    vector = SharedVector(services.indexes.embedder, caller.tenant_id, request.query)
    document = await services.caches.answer(None if request.explain else key, compute, vector)
    return {**document, "took_ms": round(1e3 * (time.perf_counter() - started), 2)}


def _question(
    services: Services,
    caller: Caller,
    request: SearchRequest,
    projects: Sequence[Document],
    moment: str,
) -> recall.SearchRequest:
    return recall.SearchRequest(
        query=request.query,
        scopes=[recall.Scope(str(project["id"])) for project in projects],
        chosen=RecordFilter(
            kinds=frozenset(request.kinds),
            tags=frozenset(request.tags),
            all_tags=request.tags_match == "all",
            since=request.since,
            until=request.until,
            as_of=request.as_of,
        ),
        limit=request.limit,
        min_score=services.min_score if request.min_score is None else request.min_score,
        explain=request.explain,
        asker=caller.actor,
        now=moment,
    )


def _document(services: Services, asked: Asked, *, explain: bool) -> Document:
    answer, standing = asked.answer, asked.standing
    return {
        "hits": [shown_hit(hit) for hit in answer.hits],
        "nothing_relevant": answer.nothing_relevant,
        **degraded(services, answer, standing),
        "indexed_seq": standing.indexed,
        "head": standing.head,
        **({"timings_ms": shown_timings(answer)} if explain else {}),
    }


async def scope_of(records: Recalled, names: Sequence[str]) -> list[Document]:
    """Returns the projects to search: those named, else all that the caller may see.

    Raises:
        ProjectNotFound: one of ``names`` is not there for the caller.
    """
    if not names:
        return await records.look_around(MAX_PROJECTS)
    found = {}
    for name, project in zip(names, await records.look(names), strict=True):
        if project is None:
            raise no_project(name)
        found[str(project["id"])] = project
    return list(found.values())


def degraded(services: Services, answer: recall.Answer, standing: Standing) -> Document:
    """Returns which parts of recall were missing, and how to mend it."""
    if not answer.degraded:
        return {"degraded": []}
    mend = services.indexes.mend(waiting=standing.needs_vectors)
    return {"degraded": [*answer.degraded], "mend": mend}
