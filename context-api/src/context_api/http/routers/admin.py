"""Care of the hub: verify, rebuild, export, import, status, figures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from context_api.application import admin, tenants, transfer, vector_care
from context_api.http import reports
from context_api.http.access import API
from context_api.http.answers import Json, answer
from context_api.http.dto import Asking, ExportQuery, ImportQuery, OneProject
from context_api.http.lines import lines_of
from context_api.http.metrics import Metrics
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute, check_media_type
from memory_core.errors import (
    Conflict,
    ContextError,
    Corrupt,
    InvalidInput,
    InvalidJson,
    NotFound,
    PayloadTooLarge,
    ProjectNotFound,
    SlugTaken,
)

FIGURES_S = 2.0
NDJSON = "application/x-ndjson"
LINES = {NDJSON: {"schema": {"type": "string"}}}

CARE = refuses(ProjectNotFound, Conflict, Corrupt)

router = APIRouter(tags=["operation"], route_class=HubRoute)


@router.post(f"{API}/admin/verify", response_model=reports.Verification)
async def verify(ask: Asking) -> Json:
    """Check every log against its digests, and the views against the logs."""
    return answer(await admin.verify(ask.services, ask.caller))


@router.post(f"{API}/admin/rebuild", response_model=reports.Rebuild, responses=refuses(Corrupt))
async def rebuild(ask: Asking) -> Json:
    """Drop every view and make it again from the log."""
    return answer(await admin.rebuild(ask.services, ask.caller))


@router.post(f"{API}/admin/index/verify", response_model=reports.VectorCare, responses=CARE)
async def verify_index(ask: Asking, query: Annotated[OneProject, Query()]) -> Json:
    """Compare the vector server with SQL, by id and hash, and ask it for what it must find."""
    return answer(await vector_care.care(ask.services, ask.caller, "verify", query.project))


@router.post(f"{API}/admin/index/repair", response_model=reports.VectorCare, responses=CARE)
async def repair_index(ask: Asking, query: Annotated[OneProject, Query()]) -> Json:
    """Mend what differs in the vector server, and build anew what is damaged."""
    return answer(await vector_care.care(ask.services, ask.caller, "repair", query.project))


@router.post(f"{API}/admin/index/rebuild", response_model=reports.VectorCare, responses=CARE)
async def rebuild_index(ask: Asking, query: Annotated[OneProject, Query()]) -> Json:
    """Build the vectors anew beside the old ones, prove them equal to SQL, and switch."""
    return answer(await vector_care.care(ask.services, ask.caller, "rebuild", query.project))


@router.get(f"{API}/status", response_model=reports.Status)
async def status(ask: Asking) -> Json:
    """Tell how the hub is: model, indexes, what is degraded and how to mend it."""
    return answer(await admin.status(ask.services, ask.caller))


@router.get(
    f"{API}/export",
    response_class=StreamingResponse,
    responses={
        200: {"description": "One JSON object a line.", "content": LINES},
        **refuses(NotFound),
    },
)
async def export(ask: Asking, query: Annotated[ExportQuery, Query()]) -> Response:
    """Write everything out as lines of JSON, which an import brings back exactly."""
    caller = await tenants.acting_in(ask.services, ask.caller, query.tenant)
    chosen = transfer.Exported(keys=query.keys, views=query.views)
    lines = transfer.export(ask.services, caller, chosen)
    first = await anext(lines, b"")
    return StreamingResponse(_with_first(first, lines), media_type=NDJSON)


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for line in rest:
        yield line


@router.post(
    f"{API}/import",
    response_model=reports.Imported,
    responses=refuses(InvalidJson, InvalidInput, Conflict, SlugTaken, PayloadTooLarge, NotFound),
    openapi_extra={"requestBody": {"required": True, "content": LINES}},
)
async def import_(ask: Asking, request: Request, query: Annotated[ImportQuery, Query()]) -> Json:
    """Bring in what an export wrote; what is there already is skipped."""
    check_media_type(request, NDJSON, "application/ndjson", "application/jsonl")
    caller = await tenants.acting_in(ask.services, ask.caller, query.tenant)
    chosen = transfer.Taken(
        restore=query.restore is not None, only_empty=query.restore == "empty", keys=query.keys
    )
    lines = lines_of(request.stream())
    return answer(await transfer.import_(ask.services, caller, lines, chosen))


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Figures in Prometheus' text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
async def metrics(ask: Asking, request: Request) -> Response:
    """Figures for Prometheus."""
    figures: Metrics = request.app.state.metrics
    measures = ask.services.measures
    reading = None
    with suppress(ContextError, TimeoutError):
        async with asyncio.timeout(FIGURES_S):
            reading = await measures.read(ask.services.uow, ask.services.indexes)
    text = figures.text(measures, reading)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
