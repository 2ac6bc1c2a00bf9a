"""Context packs: recall in a token budget, for an agent that starts to work."""

from __future__ import annotations

from fastapi import APIRouter

from context_api.application import context_pack
from context_api.http import reports
from context_api.http.access import API
from context_api.http.answers import Json, answer
from context_api.http.dto import Asking
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from memory_core.errors import ProjectNotFound
from memory_core.requests import ContextRequest

router = APIRouter(prefix=API, tags=["recall"], route_class=HubRoute)


@router.post("/context", response_model=reports.ContextPack, responses=refuses(ProjectNotFound))
async def build_context(ask: Asking, body: ContextRequest) -> Json:
    """Pack what an agent should know about a project into a token budget."""
    return answer(await context_pack.build(ask.services, ask.caller, body))
