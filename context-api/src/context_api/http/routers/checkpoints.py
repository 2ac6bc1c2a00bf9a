"""Checkpoints: saved states of work, which never change."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from context_api.application import reading
from context_api.http import documents
from context_api.http.access import API
from context_api.http.answers import Json, answer, listing
from context_api.http.dto import (
    Asking,
    Base,
    EraseFlag,
    IdempotencyKey,
    IfMatch,
    ListCheckpoints,
    PathId,
    PostCheckpoint,
    operation,
    own,
)
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from context_api.http.writes import create, created, remove
from memory_core.errors import (
    AlreadyExists,
    Deleted,
    IdempotencyMismatch,
    InvalidCursor,
    NotFound,
    PreconditionFailed,
    ProjectNotFound,
)
from memory_core.operations import CreateCheckpoint
from memory_core.records import Kind

router = APIRouter(prefix=f"{API}/checkpoints", tags=["checkpoints"], route_class=HubRoute)

_CREATED = {
    200: {
        "model": documents.Checkpoint | documents.NotStored,
        "description": "The checkpoint was there, or it is EPHEMERAL.",
    },
    **refuses(ProjectNotFound, NotFound, AlreadyExists, Deleted, IdempotencyMismatch),
}


@router.post("", status_code=201, response_model=documents.Checkpoint, responses=_CREATED)
async def create_checkpoint(
    ask: Asking, body: PostCheckpoint, idempotency_key: IdempotencyKey = None
) -> Json:
    """Save the state of work."""
    record = own(body, CreateCheckpoint)
    asked = operation(Kind.CHECKPOINT, body.id, record)
    written = await create(ask, body.project, asked, idempotency_key)
    return created(written, tagged=False)


@router.get(
    "", response_model=documents.CheckpointList, responses=refuses(ProjectNotFound, InvalidCursor)
)
async def list_checkpoints(ask: Asking, query: Annotated[ListCheckpoints, Query()]) -> Json:
    """List checkpoints, newest first."""
    found = await reading.checkpoints(ask.services, ask.caller, query, query.page)
    return listing(found.items, found.next_cursor)


@router.get(
    "/{checkpoint_id}", response_model=documents.Checkpoint, responses=refuses(NotFound, Deleted)
)
async def get_checkpoint(ask: Asking, checkpoint_id: PathId) -> Json:
    """Read a checkpoint."""
    return answer(await reading.get(ask.services, ask.caller, Kind.CHECKPOINT, checkpoint_id))


@router.delete(
    "/{checkpoint_id}", status_code=204, responses=refuses(NotFound, Deleted, PreconditionFailed)
)
async def delete_checkpoint(
    ask: Asking,
    checkpoint_id: PathId,
    erase: EraseFlag = False,
    base: Base = None,
    if_match: IfMatch = None,
) -> Response:
    """Delete a checkpoint for good; with `erase` also what it held."""
    return await remove(
        ask, Kind.CHECKPOINT, checkpoint_id, erase=erase, base=base, if_match=if_match
    )
