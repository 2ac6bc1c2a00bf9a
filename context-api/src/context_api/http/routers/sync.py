"""Sync: what replicas push and pull (docs/sync-protocol.md)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from context_api.application.authenticate import authenticate
from context_api.application.sync import pull as pulling
from context_api.application.sync import push as pushing
from context_api.application.sync import ranges, snapshot, status, vectors
from context_api.domain.caller import Caller
from context_api.http import sync_reports as reports
from context_api.http.access import API
from context_api.http.answers import Json, answer, empty
from context_api.http.auth import token_of
from context_api.http.dto import Asking, OneProject, PathId
from context_api.http.packed import packed
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from context_api.http.sync_dto import (
    DigestsBody,
    EventsBody,
    PullQuery,
    PushBody,
    SnapshotQuery,
    VectorsBody,
)
from memory_core.errors import (
    CursorExpired,
    EpochChanged,
    InvalidCursor,
    OperationsMissing,
    ProjectNotFound,
    ReplicaForked,
    UpgradeRequired,
)

BYTES = "application/octet-stream"

router = APIRouter(prefix=API, tags=["sync"], route_class=HubRoute)


@router.post(
    "/projects/{project_id}/sync/push",
    response_model=reports.Pushed,
    responses=refuses(
        ProjectNotFound, ReplicaForked, OperationsMissing, EpochChanged, UpgradeRequired
    ),
)
async def push_operations(ask: Asking, project_id: PathId, body: PushBody) -> Json:
    """Carry out operations that a replica made, each once, in their order."""
    return answer(await pushing.push(ask.services, ask.caller, project_id, body.request))


@router.get(
    "/projects/{project_id}/sync/pull",
    response_model=reports.PulledPage,
    responses=refuses(ProjectNotFound, CursorExpired, EpochChanged, UpgradeRequired),
)
async def pull_events(
    request: Request, ask: Asking, project_id: PathId, query: Annotated[PullQuery, Query()]
) -> Response:
    """Read the log after a replica's position, or wait for it to grow."""
    services, state = ask.services, request.app.state

    async def wait(place: tuple[str, str], after: int, timeout_s: float) -> Caller:
        await services.news.wait(
            services.uow,
            services.wakeup,
            place,
            after,
            timeout_s=timeout_s,
            stopping=state.stopping,
        )
        # A key that was revoked while it waited gets nothing.
        return await authenticate(services, token_of(request.scope))

    asked = query.request
    return await packed(request, await pulling.pull(services, ask.caller, project_id, asked, wait))


@router.get(
    "/projects/{project_id}/sync/snapshot",
    response_model=reports.SnapshotPage,
    responses=refuses(ProjectNotFound, InvalidCursor, EpochChanged),
)
async def read_snapshot(
    request: Request, ask: Asking, project_id: PathId, query: Annotated[SnapshotQuery, Query()]
) -> Response:
    """Read the records as they are, for a replica that begins on a long log."""
    page = await snapshot.snapshot(ask.services, ask.caller, project_id, query.request)
    return await packed(request, page)


@router.post(
    "/projects/{project_id}/sync/digests",
    response_model=reports.RangeDigests,
    responses=refuses(ProjectNotFound, CursorExpired),
)
async def digest_ranges(ask: Asking, project_id: PathId, body: DigestsBody) -> Json:
    """Digest ranges of the log, by which two ends find where they differ."""
    return answer(await ranges.digests(ask.services, ask.caller, project_id, body.ranges))


@router.post(
    "/projects/{project_id}/sync/events",
    response_model=reports.EventList,
    responses=refuses(ProjectNotFound),
)
async def read_events(
    request: Request, ask: Asking, project_id: PathId, body: EventsBody
) -> Response:
    """Read single events of the log, to mend a copy of it."""
    found = await ranges.events(ask.services, ask.caller, project_id, body.seqs)
    return await packed(request, found)


@router.post(
    "/projects/{project_id}/sync/vectors",
    response_class=Response,
    responses={
        200: {
            "description": "The vectors that there are, in 8 bits with a scale each, by the hash"
            " of their text (`memory_core.sync.vectors`).",
            "content": {BYTES: {"schema": {"type": "string", "format": "binary"}}},
        },
        204: {"description": "The hub has no model."},
        **refuses(ProjectNotFound),
    },
)
async def read_vectors(ask: Asking, project_id: PathId, body: VectorsBody) -> Response:
    """Read the vectors of texts, so that a replica need not make them."""
    found = await vectors.vectors(ask.services, ask.caller, project_id, body.hashes)
    return empty() if found is None else Response(found, media_type=BYTES)


@router.get("/sync/status", response_model=reports.SyncStatus, responses=refuses(ProjectNotFound))
async def sync_status(ask: Asking, query: Annotated[OneProject, Query()]) -> Json:
    """Tell how the replicas are, and which erasures have not reached all of them."""
    return answer(await status.status(ask.services, ask.caller, query.project))
