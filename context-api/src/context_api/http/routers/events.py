"""The log of a project, by page and as it grows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from context_api.application import events
from context_api.http import reports
from context_api.http.access import API
from context_api.http.answers import Json, answer
from context_api.http.auth import token_of
from context_api.http.dto import Asking, PathId, ReadEvents
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from context_api.http.stream import EventStream, Watch
from memory_core.errors import CursorExpired, ProjectNotFound
from memory_core.requests import Position

router = APIRouter(prefix=f"{API}/projects", tags=["events"], route_class=HubRoute)

LastEventId = Annotated[
    Position | None,
    Header(alias="Last-Event-ID", description="The last seq that was seen; wins over `after`."),
]


@router.get(
    "/{project_id}/events",
    response_model=reports.EventPage,
    responses=refuses(ProjectNotFound, CursorExpired),
)
async def list_events(
    ask: Asking, project_id: PathId, query: Annotated[ReadEvents, Query()]
) -> Json:
    """Read the log after a position, in order."""
    page = await events.page(ask.services, ask.caller, project_id, query.after, query.limit)
    last = page.items[-1]["seq"] if page.items else query.after
    return answer(
        {"items": [*page.items], "head": page.head, "epoch": page.epoch, "next_after": last}
    )


@router.get(
    "/{project_id}/events/stream",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events: `id` is the seq, `event` the type, `data` the"
            " event as JSON; a comment every 15 seconds.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **refuses(ProjectNotFound, CursorExpired),
    },
)
async def follow_events(
    request: Request,
    ask: Asking,
    project_id: PathId,
    after: Annotated[Position, Query(description="Start after this seq.")] = 0,
    last_event_id: LastEventId = None,
) -> EventStream:
    """Follow the log as it grows."""
    start = after if last_event_id is None else last_event_id
    await events.page(ask.services, ask.caller, project_id, start, 1)
    state = request.app.state
    watch = Watch(
        services=ask.services,
        caller=ask.caller,
        token=token_of(request.scope),
        stopping=state.stopping,
        options=state.options,
    )
    return EventStream(events.follow(ask.services, ask.caller, project_id, start), watch)
