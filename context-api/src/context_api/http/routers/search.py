"""Search, and the tags that records carry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from context_api.application import reading, searching
from context_api.http import reports
from context_api.http.access import API
from context_api.http.answers import Json, answer
from context_api.http.dto import Ask, Asking, OneProject, SearchParameters
from context_api.http.options import HttpOptions
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from memory_core.errors import ProjectNotFound
from memory_core.requests import SearchRequest

router = APIRouter(prefix=API, tags=["recall"], route_class=HubRoute)


@router.post("/search", response_model=reports.SearchAnswer, responses=refuses(ProjectNotFound))
async def search(request: Request, ask: Asking, body: SearchRequest) -> Json:
    """Search what is remembered."""
    return await _search(request, ask, body)


@router.get("/search", response_model=reports.SearchAnswer, responses=refuses(ProjectNotFound))
async def search_by_address(
    request: Request, ask: Asking, query: Annotated[SearchParameters, Query()]
) -> Json:
    """Search what is remembered, with the question in the address."""
    given = {"limit": query.limit} if query.limit is not None else {}
    projects = [query.project] if query.project is not None else []
    return await _search(request, ask, SearchRequest(query=query.q, projects=projects, **given))


@router.get("/tags", response_model=reports.TagList, responses=refuses(ProjectNotFound))
async def list_tags(ask: Asking, query: Annotated[OneProject, Query()]) -> Json:
    """List the tags in use, with how often."""
    return answer({"items": [*await reading.tags(ask.services, ask.caller, query.project)]})


async def _search(request: Request, ask: Ask, asked: SearchRequest) -> Json:
    if "limit" not in asked.model_fields_set:
        options: HttpOptions = request.app.state.options
        asked = asked.model_copy(update={"limit": options.search_default_limit})
    return answer(await searching.search(ask.services, ask.caller, asked))
