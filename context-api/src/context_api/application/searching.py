"""Search: the question goes through recall, the store decides what comes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from context_api.application import query_vectors
from context_api.application.caching import Computed
from context_api.application.indexing import reach
from context_api.application.ports import Records, Window
from context_api.application.requests import MAX_PROJECTS, SearchRequest
from context_api.application.services import Services
from context_api.application.standing import Standing, answer_key, is_whole, standing_of
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import READ, Caller
from memory_core.errors import InvalidInput
from memory_core.recall import pipeline as recall
from memory_core.recall.documents import happened_at, title_of
from memory_core.recall.ports import RecordFilter
from memory_core.records import Document


async def search(services: Services, caller: Caller, request: SearchRequest) -> Document:
    """Returns what answers a question, best first, or that nothing relevant is known.

    A write that was answered before the call is found by its words; ``degraded`` names parts
    of recall that were missing. An equal question gets the kept answer until something is
    written or indexed, at most `caching.BUCKET_S` seconds; with ``explain`` it never does.

    Raises:
        ProjectNotFound: a named project is not there for the caller.
        InvalidInput: ``as_of`` without exactly one project.
    """
    caller.require(READ)
    started = time.perf_counter()
    if request.as_of is not None and len(request.projects) != 1:
        raise InvalidInput("as_of is a position in one project's log; name exactly one project")

    async def look() -> list[Document]:
        async with services.uow.glance(viewer_of(caller)) as records:
            return await scope_of(records, request.projects)

    moment = services.caches.moment()
    projects = await look()
    asked = request.model_dump(mode="json", exclude={"projects", "explain"})
    key = answer_key("search", services, caller, projects, asked=asked, moment=moment)

    async def compute() -> Computed:
        standing = await reached(services, caller.tenant_id, projects)
        answer = await ask(services, caller, _question(services, caller, request, standing, moment))
        document = _document(services, answer, standing, explain=request.explain)
        lasting = not request.explain and is_whole(standing, answer) and standing.is_complete
        return Computed(document, lasting and await still(services, caller, standing, look))

    document = await services.caches.answer(None if request.explain else key, compute)
    return {**document, "took_ms": round(1e3 * (time.perf_counter() - started), 2)}


def _question(
    services: Services, caller: Caller, request: SearchRequest, standing: Standing, moment: str
) -> recall.SearchRequest:
    return recall.SearchRequest(
        query=request.query,
        scopes=[recall.Scope(position.project_id) for position in standing.positions],
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


def _document(
    services: Services, answer: recall.Answer, standing: Standing, *, explain: bool
) -> Document:
    return {
        "hits": [_shown(hit) for hit in answer.hits],
        "nothing_relevant": answer.nothing_relevant,
        **degraded(services, answer, standing),
        "indexed_seq": standing.indexed,
        "head": standing.head,
        **({"timings_ms": _rounded(answer)} if explain else {}),
    }


async def ask(services: Services, caller: Caller, request: recall.SearchRequest) -> recall.Answer:
    """Runs recall in a thread."""
    records = services.uow.recalled(viewer_of(caller))
    store = services.indexes.of(caller.tenant_id)
    embedder = services.indexes.embedder
    wanted = await query_vectors.fetch(services.caches, embedder, caller.tenant_id, request.query)
    answer = await asyncio.to_thread(
        recall.search,
        request,
        lexical=store,
        dense=store,
        records=records,
        embedder=embedder,
    )
    if wanted:
        await query_vectors.share(services.caches, embedder, caller.tenant_id, request.query)
    return answer


async def still(
    services: Services,
    caller: Caller,
    standing: Standing,
    look: Callable[[], Awaitable[Sequence[Document]]],
) -> bool:
    """Says if everything stands as it did, so that what was read meanwhile is of that moment."""
    return standing == await standing_of(services, caller.tenant_id, await look())


async def reached(services: Services, tenant_id: str, projects: Sequence[Document]) -> Standing:
    """Returns where ``projects`` stand, after indexing the words that were missing."""
    standing = await standing_of(services, tenant_id, projects)
    if standing.needs_words:
        await reach(services, tenant_id, projects)
        standing = await standing_of(services, tenant_id, projects)
    return standing


async def scope_of(records: Records, names: Sequence[str]) -> list[Document]:
    """Returns the projects to search: those named, else all that the caller may see."""
    if names:
        found = [await project_named(records, name) for name in names]
        return list({str(project["id"]): project for project in found}.values())
    return await records.projects(slug=None, remote=None, window=Window(limit=MAX_PROJECTS))


def degraded(services: Services, answer: recall.Answer, standing: Standing) -> Document:
    """Returns which parts of recall were missing, and how to mend it."""
    if not answer.degraded:
        return {"degraded": []}
    mend = services.indexes.mend(waiting=standing.needs_vectors)
    return {"degraded": [*answer.degraded], "mend": mend}


def _rounded(answer: recall.Answer) -> Document:
    return {name: round(taken, 3) for name, taken in answer.timings.items()}


def _shown(hit: recall.Hit) -> Document:
    document = hit.document
    return {
        "kind": hit.ref.kind.value,
        "id": hit.ref.id,
        "session_id": document.get("session_id"),
        "source_id": document.get("source_id"),
        "project": document.get("project"),
        "project_id": hit.project_id,
        "score": round(hit.score, 6),
        "title": title_of(hit.ref.kind, document),
        "snippet": hit.snippet,
        "author": document.get("author") or document.get("owner"),
        "role": document.get("role"),
        "created_at": happened_at(document),
        "repeats": [repeat.id for repeat in hit.repeats],
        **({"explain": hit.explain} if hit.explain is not None else {}),
    }
