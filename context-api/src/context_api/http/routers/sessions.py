"""Sessions: conversations with an agent."""

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
    ListSessions,
    PatchSession,
    PathId,
    PostSession,
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
from memory_core.operations import CreateSession, UpdateSession
from memory_core.records import Document, Kind
from memory_core.requests import Position

router = APIRouter(prefix=f"{API}/sessions", tags=["sessions"], route_class=HubRoute)

_CREATED = {
    200: {
        "model": documents.StoredSession | documents.NotStored,
        "description": "The session was there; messages it lacked are added. Or it is EPHEMERAL.",
    },
    **refuses(ProjectNotFound, NotFound, AlreadyExists, Deleted, IdempotencyMismatch),
}


@router.post("", status_code=201, response_model=documents.StoredSession, responses=_CREATED)
async def create_session(
    ask: Asking, body: PostSession, idempotency_key: IdempotencyKey = None
) -> Json:
    """Store a session, with its first messages if there are any."""
    record = own(body, CreateSession)
    asked = operation(Kind.SESSION, body.id, record)
    written = await create(ask, body.project, asked, idempotency_key)
    done: Document = {
        "added": written.added,
        "duplicates": len(written.duplicates),
        "differing": [*written.differing],
        "redactions": {**written.redactions},
    }
    return created(written, done, tagged=True)


@router.get(
    "", response_model=documents.SessionList, responses=refuses(ProjectNotFound, InvalidCursor)
)
async def list_sessions(ask: Asking, query: Annotated[ListSessions, Query()]) -> Json:
    """List sessions, newest first."""
    found = await reading.sessions(ask.services, ask.caller, query, query.page)
    return listing(found.items, found.next_cursor)


@router.get(
    "/{session_id}",
    response_model=documents.Session | documents.PastSession,
    responses=refuses(NotFound, Deleted),
)
async def get_session(
    ask: Asking,
    session_id: PathId,
    as_of: Annotated[
        Position | None, Query(description="As it was at this position of the log.")
    ] = None,
) -> Json:
    """Read a session, also as it was earlier."""
    document = await reading.get(ask.services, ask.caller, Kind.SESSION, session_id, as_of)
    return answer(document, tagged=True)


@router.patch(
    "/{session_id}",
    response_model=documents.UpdatedSession,
    responses=refuses(NotFound, Deleted, PreconditionFailed),
)
async def update_session(
    ask: Asking, session_id: PathId, body: PatchSession, base: Base = None, if_match: IfMatch = None
) -> Json:
    """Change the fields that are named."""
    record = own(body, UpdateSession)
    seen = body.base or base
    written = await change(ask, Kind.SESSION, session_id, record, base=seen, if_match=if_match)
    return changed(written)


@router.delete(
    "/{session_id}", status_code=204, responses=refuses(NotFound, Deleted, PreconditionFailed)
)
async def delete_session(
    ask: Asking,
    session_id: PathId,
    erase: EraseFlag = False,
    base: Base = None,
    if_match: IfMatch = None,
) -> Response:
    """Delete a session for good; with `erase` also what it held."""
    return await remove(ask, Kind.SESSION, session_id, erase=erase, base=base, if_match=if_match)
