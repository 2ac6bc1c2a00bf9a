"""What is open to all: is the process alive, can it work, how is it asked."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from context_api.application import health
from context_api.http import reports
from context_api.http.answers import Json
from context_api.http.auth import services_of
from context_api.http.docs_page import page
from context_api.http.route import HubRoute
from memory_core.errors import ContextError

router = APIRouter(tags=["health"], route_class=HubRoute)


@router.get("/health/live", response_model=reports.Live)
async def live() -> Json:
    """Say that the process answers; nothing else is touched."""
    return Json({"status": "ok"})


@router.get(
    "/health/ready",
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


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Show the description of the API."""
    return HTMLResponse(page(request.app.openapi()))
