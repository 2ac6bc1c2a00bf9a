"""The embedding model, handed to machines that search offline."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from context_api.application import model_files
from context_api.http import sync_reports as reports
from context_api.http.access import API
from context_api.http.answers import Json, answer
from context_api.http.dto import Asking
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from memory_core.embedding.manifest import FileName
from memory_core.errors import ModelBroken, NotFound

BYTES = "application/octet-stream"

router = APIRouter(prefix=f"{API}/model", tags=["sync"], route_class=HubRoute)


@router.get("", response_model=reports.Model, responses=refuses(NotFound, ModelBroken))
async def describe_model(ask: Asking) -> Json:
    """Tell which model the hub embeds with, and its files."""
    return answer(await model_files.described(ask.services, ask.caller))


@router.get(
    "/files/{name}",
    response_class=Response,
    responses={
        200: {
            "description": "The file's bytes.",
            "content": {BYTES: {"schema": {"type": "string", "format": "binary"}}},
        },
        **refuses(NotFound, ModelBroken),
    },
)
async def read_model_file(ask: Asking, name: FileName) -> Response:
    """Read one of the model's files."""
    size, blocks = await model_files.file(ask.services, ask.caller, name)
    return StreamingResponse(blocks, headers={"Content-Length": str(size)}, media_type=BYTES)
