"""Projects: the repositories that are remembered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from context_api.application import projects
from context_api.application.sync.status import with_replicas
from context_api.http import documents
from context_api.http.access import API
from context_api.http.answers import Json, answer, listing
from context_api.http.dto import (
    Asking,
    Base,
    IdempotencyKey,
    IfMatch,
    ListProjects,
    PatchProject,
    PathId,
    entity_tag,
    own,
)
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from memory_core.errors import (
    IdempotencyMismatch,
    InvalidCursor,
    PreconditionFailed,
    ProjectNotFound,
    SlugTaken,
)
from memory_core.operations import CreateProject, UpdateProject

router = APIRouter(prefix=f"{API}/projects", tags=["projects"], route_class=HubRoute)


@router.post(
    "",
    status_code=201,
    response_model=documents.Project,
    responses={
        200: {"model": documents.Project, "description": "The project was there."},
        **refuses(ProjectNotFound, SlugTaken, IdempotencyMismatch),
    },
)
async def ensure_project(
    ask: Asking, body: CreateProject, idempotency_key: IdempotencyKey = None
) -> Json:
    """Make a project, or find the one that has the slug or one of the remotes."""
    found = await projects.ensure(ask.services, ask.caller, body, idempotency_key=idempotency_key)
    return answer(
        found.document, 201 if found.created else 200, replayed=found.replayed, tagged=True
    )


@router.get("", response_model=documents.ProjectList, responses=refuses(InvalidCursor))
async def list_projects(ask: Asking, query: Annotated[ListProjects, Query()]) -> Json:
    """List projects, or find one by its slug or a remote."""
    found = await projects.find(
        ask.services, ask.caller, slug=query.slug, remote=query.remote, page=query.page
    )
    shown = await with_replicas(ask.services, ask.caller, found.items)
    return listing(shown, found.next_cursor)


@router.get(
    "/{project_id}", response_model=documents.FollowedProject, responses=refuses(ProjectNotFound)
)
async def get_project(ask: Asking, project_id: PathId) -> Json:
    """Read a project."""
    found = await projects.get(ask.services, ask.caller, project_id)
    [shown] = await with_replicas(ask.services, ask.caller, [found])
    return answer(shown, tagged=True)


@router.patch(
    "/{project_id}",
    response_model=documents.UpdatedProject,
    responses=refuses(ProjectNotFound, SlugTaken, PreconditionFailed),
)
async def update_project(
    ask: Asking,
    project_id: PathId,
    body: PatchProject,
    base: Base = None,
    if_match: IfMatch = None,
) -> Json:
    """Rename a project, move it under another, or change its remotes."""
    written = await projects.update(
        ask.services,
        ask.caller,
        project_id,
        own(body, UpdateProject),
        if_match=entity_tag(if_match),
        base=body.base or base,
    )
    return answer({**(written.document or {}), "conflicts": [*written.conflicts]}, tagged=True)
