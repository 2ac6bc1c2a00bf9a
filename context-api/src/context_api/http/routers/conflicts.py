"""Conflicts: fields that two sides changed, with both values."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import JsonValue

from context_api.application import conflicts, reading
from context_api.http import reports
from context_api.http.access import API
from context_api.http.answers import Json, answer
from context_api.http.dto import Asking, IdempotencyKey, OneProject, PathId
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from memory_core.errors import (
    Conflict,
    Deleted,
    IdempotencyMismatch,
    NotFound,
    ProjectNotFound,
    SlugTaken,
)
from memory_core.fields import Input
from memory_core.records import Kind

router = APIRouter(prefix=f"{API}/conflicts", tags=["sync"], route_class=HubRoute)


class Resolve(Input):
    """Which value a field gets: the one that was kept, the one that was pushed, or another."""

    resolution: Literal["kept", "pushed", "edited"]
    value: JsonValue = None


@router.get("", response_model=reports.ConflictList, responses=refuses(ProjectNotFound))
async def list_conflicts(ask: Asking, query: Annotated[OneProject, Query()]) -> Json:
    """List fields that two sides changed, with both values."""
    return answer({"items": [*await reading.conflicts(ask.services, ask.caller, query.project)]})


@router.get("/{conflict_id}", response_model=reports.Conflict, responses=refuses(NotFound))
async def get_conflict(ask: Asking, conflict_id: PathId) -> Json:
    """Read a conflict, also one that is resolved."""
    document = await reading.get(ask.services, ask.caller, Kind.CONFLICT, conflict_id)
    return answer(document, tagged=True)


@router.post(
    "/{conflict_id}/resolve",
    response_model=reports.Conflict,
    responses=refuses(NotFound, Deleted, Conflict, SlugTaken, IdempotencyMismatch),
)
async def resolve_conflict(
    ask: Asking, conflict_id: PathId, body: Resolve, idempotency_key: IdempotencyKey = None
) -> Json:
    """Close a conflict, and give the field the chosen value."""
    written = await conflicts.resolve(
        ask.services, ask.caller, conflict_id, body, idempotency_key=idempotency_key
    )
    return answer(written.document or {}, replayed=written.replayed, tagged=True)
