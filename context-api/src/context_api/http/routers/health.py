"""Is the process alive, can it work: for supervisors, without a key."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request

from context_api.application import health
from context_api.http import reports
from context_api.http.answers import Json
from context_api.http.auth import services_of
from context_api.http.route import HubRoute
from memory_core.errors import ContextError

router = APIRouter(prefix="/health", tags=["health"], route_class=HubRoute)


@router.get("/live", response_model=reports.Live)
async def live() -> Json:
    """Say that the process answers; nothing else is touched."""
    return Json({"status": "ok"})


@router.get(
    "/ready",
    response_model=reports.Ready,
    responses={503: {"model": reports.Ready, "description": "It cannot work now."}},
)
async def ready(request: Request) -> Json:
    """Say whether the hub can do its work."""
    try:
        report = await health.ready(services_of(request.scope))
    except ContextError as error:
        report = {"status": "unavailable", "checks": {"hub": error.code}}
    return Json(report, 503 if report.get("status") == "unavailable" else 200)
