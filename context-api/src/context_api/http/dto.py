"""Bodies and parameters as HTTP carries them, and how they become operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar, cast

from fastapi import Depends, Header, Path, Query
from pydantic import Field, StringConstraints
from starlette.requests import Request

from context_api.application.requests import Page
from context_api.application.services import Services
from context_api.domain.caller import Caller
from context_api.http.auth import caller_of, services_of
from memory_core.fields import Id, Input
from memory_core.ids import uuid7
from memory_core.operations import (
    Body,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Operation,
    UpdatePattern,
    UpdateProject,
    UpdateSession,
)
from memory_core.records import Kind
from memory_core.requests import (
    CheckpointFilter,
    PatternFilter,
    Position,
    ProjectFilter,
    ProjectName,
    SessionFilter,
)
from memory_core.requests import Query as Question

OwnBody = TypeVar("OwnBody", bound=Input)


@dataclass(frozen=True, slots=True)
class Ask:
    """The hub and who asks it: the first two arguments of every use case."""

    services: Services
    caller: Caller


async def _ask(request: Request) -> Ask:
    return Ask(services_of(request.scope), caller_of(request.scope))


Asking = Annotated[Ask, Depends(_ask)]

IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,200}$")] | None,
    Header(
        alias="Idempotency-Key",
        description="1 to 200 printable characters; the same key makes it happen once.",
    ),
]
IfMatch = Annotated[
    Annotated[str, StringConstraints(max_length=200)] | None,
    Header(alias="If-Match", description="The ETag of the record as its author saw it."),
]
PathId = Annotated[Id, Path()]
Base = Annotated[
    Id | None, Query(description="The last operation on the record that its author had seen.")
]
EraseFlag = Annotated[
    bool, Query(description="Also remove the content from the log, every view and replica.")
]


def entity_tag(if_match: str | None) -> str | None:
    """Returns what an `If-Match` header names; None when there is none or any will do.

    A tag that this service did not make simply matches nothing.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tag = if_match.strip()
    return tag[1:-1] if len(tag) > 1 and tag[0] == tag[-1] == '"' else tag


class Paging(Input):
    """Parameters of every list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[
        Annotated[str, StringConstraints(max_length=1_000)] | None,
        Field(description="The `next_cursor` of the page before."),
    ] = None

    @property
    def page(self) -> Page:
        """The part of the list that is asked for."""
        return Page(limit=self.limit, cursor=self.cursor)


class ListProjects(Paging, ProjectFilter):
    """Parameters of the list of projects."""


class ListSessions(Paging, SessionFilter):
    """Parameters of the list of sessions."""


class ListCheckpoints(Paging, CheckpointFilter):
    """Parameters of the list of checkpoints."""


class ListPatterns(Paging, PatternFilter):
    """Parameters of the list of patterns."""


OfTenant = Annotated[Id | None, Field(description="Another tenant; only for the hub's own key.")]


class ListAudit(Paging):
    """Parameters of the list of the audit log."""

    act: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[a-z.]{1,40}$")] | None,
        Field(description="Only one kind of act, such as `key.revoke`."),
    ] = None
    tenant: OfTenant = None


class CheckAudit(Input):
    """What the audit log is held against."""

    anchor: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,17}:[0-9a-f]{64}$")] | None,
        Field(description="A `head` that was kept elsewhere; without it, only the links."),
    ] = None
    tenant: OfTenant = None


class OneProject(Input):
    """Names a project, or none for all that the caller may see."""

    project: ProjectName | None = None


class ReadMessages(Input):
    """Which messages of a session: those after a position."""

    after: Annotated[int, Field(ge=-1, le=2**31)] = -1
    limit: Annotated[int, Field(ge=1, le=1_000)] = 200


class ReadEvents(Input):
    """Which events of a project: those after a position."""

    after: Position = 0
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100


class ExportQuery(Input):
    """What an export holds."""

    tenant: OfTenant = None
    keys: Annotated[bool, Field(description="Also the API keys, as hashes.")] = False
    views: Annotated[bool, Field(description="A digest of every view in the last line.")] = False


class ImportQuery(Input):
    """How an export is brought in."""

    tenant: OfTenant = None
    keys: Annotated[bool, Field(description="Also the API keys that it holds.")] = False
    restore: Annotated[
        Literal["empty", "merge"] | None,
        Field(
            description="As a restored backup: every project that grows gets a new epoch."
            " `empty` refuses a tenant that has projects."
        ),
    ] = None


class SearchParameters(Input):
    """A search as the parameters of a GET."""

    q: Question
    project: ProjectName | None = None
    limit: Annotated[int, Field(ge=1, le=100)] | None = None


class PostSession(CreateSession):
    """A new session and the project it belongs to."""

    project: ProjectName


class PostCheckpoint(CreateCheckpoint):
    """A new checkpoint and the project it belongs to."""

    project: ProjectName


class PostPattern(CreatePattern):
    """A new pattern and the project it belongs to."""

    project: ProjectName


class PatchProject(UpdateProject):
    """Changes to a project."""

    base: Id | None = None


class PatchSession(UpdateSession):
    """Changes to a session."""

    base: Id | None = None


class PatchPattern(UpdatePattern):
    """Changes to a pattern."""

    base: Id | None = None


def own(body: Input, kind: type[OwnBody]) -> OwnBody:
    """Returns the part of a checked body that belongs to the operation itself."""
    names = kind.model_fields
    values = {name: getattr(body, name) for name in names}
    made = kind.model_construct(body.model_fields_set & names.keys(), **values)
    return cast("OwnBody", made)


def operation(kind: Kind, record_id: str | None, body: Body, base: str | None = None) -> Operation:
    """Returns the operation that carries ``body``, under a new id."""
    return Operation(op_id=uuid7(), kind=kind, record_id=record_id or uuid7(), body=body, base=base)
