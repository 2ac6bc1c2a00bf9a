"""API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import StringConstraints
from starlette.responses import Response

from context_api.application import keys
from context_api.application.requests import CreateKey, RotateKey
from context_api.http import reports
from context_api.http.access import API
from context_api.http.answers import Json, answer, empty
from context_api.http.dto import Asking
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from memory_core.errors import Conflict, NotFound, ProjectNotFound

router = APIRouter(prefix=f"{API}/keys", tags=["keys"], route_class=HubRoute)

KeyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$"), Path()]


@router.post("", status_code=201, response_model=reports.NewKey, responses=refuses(ProjectNotFound))
async def create_key(ask: Asking, body: CreateKey) -> Json:
    """Make a key; its text is in this answer and nowhere else."""
    return answer(await keys.create(ask.services, ask.caller, body), 201)


@router.get("", response_model=reports.KeyList)
async def list_keys(ask: Asking) -> Json:
    """List the keys, without their secrets."""
    return answer({"items": [*await keys.list_(ask.services, ask.caller)]})


@router.delete("/{key_id}", status_code=204, responses=refuses(NotFound))
async def revoke_key(ask: Asking, key_id: KeyId) -> Response:
    """Revoke a key; it stops working everywhere within seconds."""
    await keys.revoke(ask.services, ask.caller, key_id)
    return empty()


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    response_model=reports.RotatedKey,
    responses=refuses(NotFound, Conflict),
)
async def rotate_key(ask: Asking, key_id: KeyId, body: RotateKey) -> Json:
    """Replace a key by a new one, while the old one goes on for some time."""
    return answer(await keys.rotate(ask.services, ask.caller, key_id, body), 201)
