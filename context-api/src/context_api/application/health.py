"""Whether the hub can serve: also whether its work makes progress."""

from __future__ import annotations

from context_api.application.ports import Viewer
from context_api.application.services import Services
from memory_core.errors import ContextError
from memory_core.records import Document


async def ready(services: Services) -> Document:
    """Returns ``status`` ok, degraded or unavailable, with each check.

    Degraded: the hub answers, but a part such as the vectors is missing or behind. Being
    unavailable means that the database does not answer.
    """
    checks: Document = {}
    viewer = Viewer(tenant_id=services.tenant_id, actor="")
    try:
        async with services.uow.read(viewer) as tx:
            await tx.keys()
        checks["database"] = {"ok": True}
    except ContextError as error:
        checks["database"] = {"ok": False, "code": error.code, "detail": error.detail}
        return {"status": "unavailable", "checks": checks}
    degraded = services.indexes.degraded_report()
    checks["indexes"] = {"ok": not degraded, "degraded": degraded}
    indexer = services.indexes.indexer_report()
    checks["indexer"] = indexer
    healthy = not degraded and bool(indexer["ok"])
    return {"status": "ok" if healthy else "degraded", "checks": checks}
