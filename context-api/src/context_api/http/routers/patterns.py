"""Patterns: reusable lessons, with how well they worked."""

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
    ListPatterns,
    PatchPattern,
    PathId,
    PostPattern,
    operation,
    own,
)
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from context_api.http.writes import change, changed, create, created, remove
from memory_core.errors import (
    AlreadyExists,
    Deleted,
    IdempotencyMismatch,
    InvalidCursor,
    NotFound,
    PreconditionFailed,
    ProjectNotFound,
)
from memory_core.operations import CreatePattern, RecordOutcome, UpdatePattern
from memory_core.records import Kind

router = APIRouter(prefix=f"{API}/patterns", tags=["patterns"], route_class=HubRoute)

_CREATED = {
    200: {
        "model": documents.Pattern | documents.NotStored,
        "description": "The pattern was there, or it is EPHEMERAL.",
    },
    **refuses(ProjectNotFound, NotFound, AlreadyExists, Deleted, IdempotencyMismatch),
}


@router.post("", status_code=201, response_model=documents.Pattern, responses=_CREATED)
async def create_pattern(
    ask: Asking, body: PostPattern, idempotency_key: IdempotencyKey = None
) -> Json:
    """Save a reusable lesson."""
    record = own(body, CreatePattern)
    asked = operation(Kind.PATTERN, body.id, record)
    written = await create(ask, body.project, asked, idempotency_key)
    return created(written, tagged=True)


@router.get(
    "", response_model=documents.PatternList, responses=refuses(ProjectNotFound, InvalidCursor)
)
async def list_patterns(ask: Asking, query: Annotated[ListPatterns, Query()]) -> Json:
    """List patterns, newest first."""
    found = await reading.patterns(ask.services, ask.caller, query, query.page)
    return listing(found.items, found.next_cursor)


@router.get("/{pattern_id}", response_model=documents.Pattern, responses=refuses(NotFound, Deleted))
async def get_pattern(ask: Asking, pattern_id: PathId) -> Json:
    """Read a pattern."""
    document = await reading.get(ask.services, ask.caller, Kind.PATTERN, pattern_id)
    return answer(document, tagged=True)


@router.patch(
    "/{pattern_id}",
    response_model=documents.UpdatedPattern,
    responses=refuses(NotFound, Deleted, PreconditionFailed),
)
async def update_pattern(
    ask: Asking, pattern_id: PathId, body: PatchPattern, base: Base = None, if_match: IfMatch = None
) -> Json:
    """Change the fields that are named."""
    record = own(body, UpdatePattern)
    seen = body.base or base
    written = await change(ask, Kind.PATTERN, pattern_id, record, base=seen, if_match=if_match)
    return changed(written)


@router.delete(
    "/{pattern_id}", status_code=204, responses=refuses(NotFound, Deleted, PreconditionFailed)
)
async def delete_pattern(
    ask: Asking,
    pattern_id: PathId,
    erase: EraseFlag = False,
    base: Base = None,
    if_match: IfMatch = None,
) -> Response:
    """Delete a pattern for good; with `erase` also what it held."""
    return await remove(ask, Kind.PATTERN, pattern_id, erase=erase, base=base, if_match=if_match)


@router.post(
    "/{pattern_id}/outcomes",
    response_model=documents.Pattern,
    responses=refuses(NotFound, Deleted, IdempotencyMismatch),
)
async def record_outcome(
    ask: Asking, pattern_id: PathId, body: RecordOutcome, idempotency_key: IdempotencyKey = None
) -> Json:
    """Say whether a pattern worked when it was used."""
    written = await change(ask, Kind.PATTERN, pattern_id, body, idempotency_key=idempotency_key)
    return answer(written.document or {}, replayed=written.replayed, tagged=True)
