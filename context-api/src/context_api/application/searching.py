"""Search: the question goes through recall, the store decides what comes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from context_api.application.indexes import INSTALL_MODEL
from context_api.application.indexing import reach
from context_api.application.ports import Records, Window
from context_api.application.requests import MAX_PROJECTS, SearchRequest
from context_api.application.services import Services
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
    of recall that were missing.

    Raises:
        ProjectNotFound: a named project is not there for the caller.
        InvalidInput: ``as_of`` without exactly one project.
    """
    caller.require(READ)
    started = time.perf_counter()
    if request.as_of is not None and len(request.projects) != 1:
        raise InvalidInput("as_of is a position in one project's log; name exactly one project")
    async with services.uow.glance(viewer_of(caller)) as records:
        projects = await scope_of(records, request.projects)
    indexed = await reach(services, caller.tenant_id, projects)
    answer = await ask(
        services,
        caller,
        recall.SearchRequest(
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
        ),
    )
    return {
        "hits": [_shown(hit) for hit in answer.hits],
        "nothing_relevant": answer.nothing_relevant,
        **degraded(answer),
        "indexed_seq": indexed,
        "head": sum(int(str(project["head"])) for project in projects),
        "took_ms": round(1e3 * (time.perf_counter() - started), 2),
        **({"timings_ms": _rounded(answer)} if request.explain else {}),
    }


async def ask(services: Services, caller: Caller, request: recall.SearchRequest) -> recall.Answer:
    """Runs recall in a thread."""
    records = services.uow.recalled(viewer_of(caller))
    store = services.indexes.of(caller.tenant_id)
    return await asyncio.to_thread(
        recall.search,
        request,
        lexical=store,
        dense=store,
        records=records,
        embedder=services.indexes.embedder,
    )


async def scope_of(records: Records, names: Sequence[str]) -> list[Document]:
    """Returns the projects to search: those named, else all that the caller may see."""
    if names:
        found = [await project_named(records, name) for name in names]
        return list({str(project["id"]): project for project in found}.values())
    return await records.projects(slug=None, remote=None, window=Window(limit=MAX_PROJECTS))


def degraded(answer: recall.Answer) -> Document:
    """Returns which parts of recall were missing, and how to mend it."""
    if not answer.degraded:
        return {"degraded": []}
    return {"degraded": [*answer.degraded], "mend": INSTALL_MODEL}


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
