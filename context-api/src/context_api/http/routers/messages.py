"""Messages: the turns of a session."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from context_api.application import reading
from context_api.http import documents
from context_api.http.access import API
from context_api.http.answers import Json, answer
from context_api.http.dto import (
    Asking,
    Base,
    EraseFlag,
    IdempotencyKey,
    IfMatch,
    PathId,
    ReadMessages,
)
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from context_api.http.writes import change, remove
from memory_core.errors import (
    AlreadyExists,
    Deleted,
    IdempotencyMismatch,
    NotFound,
    PreconditionFailed,
)
from memory_core.operations import AppendMessages
from memory_core.records import Kind

router = APIRouter(prefix=API, tags=["messages"], route_class=HubRoute)


@router.post(
    "/sessions/{session_id}/messages",
    status_code=201,
    response_model=documents.Appended,
    responses={
        200: {"model": documents.Appended, "description": "Every message was there."},
        **refuses(NotFound, AlreadyExists, Deleted, IdempotencyMismatch),
    },
)
async def append_messages(
    ask: Asking, session_id: PathId, body: AppendMessages, idempotency_key: IdempotencyKey = None
) -> Json:
    """Append up to 1,000 messages; those whose id is there already are left alone."""
    written = await change(ask, Kind.SESSION, session_id, body, idempotency_key=idempotency_key)
    return answer(
        {
            "session_id": session_id,
            "added": written.added,
            "duplicates": len(written.duplicates),
            "differing": [*written.differing],
            "redactions": {**written.redactions},
            "head": written.head,
        },
        201 if written.added or written.replayed else 200,
        replayed=written.replayed,
    )


@router.get(
    "/sessions/{session_id}/messages",
    response_model=documents.MessagePage,
    responses=refuses(NotFound, Deleted),
)
async def list_messages(
    ask: Asking, session_id: PathId, query: Annotated[ReadMessages, Query()]
) -> Json:
    """Read the messages of a session in order."""
    items = await reading.messages(ask.services, ask.caller, session_id, query.after, query.limit)
    more = len(items) == query.limit
    return answer({"items": [*items], "next_after": items[-1]["position"] if more else None})


@router.get(
    "/messages/{message_id}", response_model=documents.Message, responses=refuses(NotFound, Deleted)
)
async def get_message(ask: Asking, message_id: PathId) -> Json:
    """Read a message."""
    return answer(await reading.get(ask.services, ask.caller, Kind.MESSAGE, message_id))


@router.delete(
    "/messages/{message_id}",
    status_code=204,
    responses=refuses(NotFound, Deleted, PreconditionFailed),
)
async def delete_message(
    ask: Asking,
    message_id: PathId,
    erase: EraseFlag = False,
    base: Base = None,
    if_match: IfMatch = None,
) -> Response:
    """Delete a message for good; with `erase` also what it held."""
    return await remove(ask, Kind.MESSAGE, message_id, erase=erase, base=base, if_match=if_match)
