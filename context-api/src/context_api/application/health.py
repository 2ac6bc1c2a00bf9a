"""Whether the hub can serve: also whether its work makes progress."""

from __future__ import annotations

import asyncio

from context_api.application.measuring import report
from context_api.application.services import Services
from memory_core.errors import ContextError, Unavailable
from memory_core.records import Document

ANSWER_S = 1.5
"""Seconds that the database may take: who asks about health must not wait for it."""

STALLED = "memctx doctor"
CACHE_AWAY = "Redis does not answer: answers are computed, and limits counted, by each process"
START_REDIS = "docker-compose up -d redis"


async def ready(services: Services) -> Document:
    """Returns ``status`` ok, degraded or unavailable, with each check.

    Degraded: the hub answers, but a part such as the vectors is missing, or work waits and
    none is done. Unavailable: the database does not answer.
    """
    checks: Document = {}
    try:
        await _ask_database(services)
    except ContextError as error:
        checks["database"] = {"ok": False, "code": error.code, "detail": error.detail}
        return {"status": "unavailable", "checks": checks}
    checks["database"] = {"ok": True}
    degraded = services.indexes.degraded_report()
    checks["indexes"] = {"ok": not degraded, "degraded": degraded}
    away = await cache_report(services)
    checks["cache"] = {"ok": not away, "degraded": [*away]}
    indexer = services.indexes.indexer_report()
    checks["indexer"] = indexer
    progress = await _progress(services)
    checks["progress"] = progress
    healthy = not (degraded or away) and bool(indexer["ok"]) and bool(progress["ok"])
    return {"status": "ok" if healthy else "degraded", "checks": checks}


async def cache_report(services: Services) -> list[Document]:
    """Returns the shared cache as a part that is missing, if it is; nothing waits long for it."""
    if services.cache_answers is None or await services.cache_answers():
        return []
    return [{"part": "cache", "reason": CACHE_AWAY, "mend": START_REDIS}]


async def _ask_database(services: Services) -> None:
    try:
        async with asyncio.timeout(ANSWER_S):
            await services.alive()
    except TimeoutError:
        raise Unavailable(f"the database did not answer within {ANSWER_S} s") from None


async def _progress(services: Services) -> Document:
    try:
        async with asyncio.timeout(ANSWER_S):
            found = await services.measures.read(services.uow, services.indexes)
    except ContextError as error:
        return {"ok": False, "code": error.code, "detail": error.detail}
    except TimeoutError:
        return {"ok": False, "code": Unavailable.code, "detail": "the progress is not known"}
    told = report(found)
    return told if told["ok"] else {**told, "mend": STALLED}
