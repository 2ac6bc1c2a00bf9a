"""What is asked of a memory, hub or replica: filters of lists, searches, packs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from memory_core.fields import Id, Input, Line, RequiredLine, RequiredText, Tag, Tags, Time
from memory_core.records import PatternType, SessionStatus

MAX_QUERY = 10_000
MAX_PROJECTS = 100

RecalledKind = Literal["session", "message", "checkpoint", "pattern"]
ProjectName = Annotated[RequiredLine, Field(description="A project's id or slug.")]
Query = Annotated[RequiredText, StringConstraints(max_length=MAX_QUERY)]
Position = Annotated[int, Field(ge=0, le=2**62)]


class ProjectFilter(Input):
    """Finds projects by name or remote; without either, all that the caller may see."""

    slug: Line | None = None
    remote: Line | None = None


class SessionFilter(Input):
    """Narrows a list of sessions. Deleted ones are left out unless asked for by status."""

    project: ProjectName | None = None
    status: SessionStatus | None = None
    tag: Tag | None = None
    agent: Line | None = None
    since: Annotated[Time | None, Field(description="Started at or after this time.")] = None
    until: Annotated[Time | None, Field(description="Started before this time.")] = None


class CheckpointFilter(Input):
    """Narrows a list of checkpoints."""

    project: ProjectName | None = None
    session_id: Id | None = None
    since: Annotated[Time | None, Field(description="Created at or after this time.")] = None
    until: Annotated[Time | None, Field(description="Created before this time.")] = None


class PatternFilter(Input):
    """Narrows a list of patterns; ``q`` is a part of the name, in any case."""

    project: ProjectName | None = None
    type: PatternType | None = None
    tag: Tag | None = None
    category: Line | None = None
    deprecated: bool | None = None
    q: Line | None = None


class SearchRequest(Input):
    """A question to recall; without ``projects`` it is put to all that the caller may see.

    ``as_of`` is a position in the log of the one project named.
    """

    query: Query
    projects: Annotated[list[ProjectName], Field(max_length=MAX_PROJECTS)] = Field(
        default_factory=list
    )
    kinds: Annotated[list[RecalledKind], Field(max_length=4)] = Field(default_factory=list)
    tags: Tags = Field(default_factory=list)
    tags_match: Literal["any", "all"] = "any"
    since: Time | None = None
    until: Time | None = None
    as_of: Position | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None
    explain: bool = False


class ContextRequest(Input):
    """Asks for a context pack: what an agent should know before it starts on a project.

    ``session_id`` is the asking session, which is left out of recall.
    """

    project: ProjectName
    query: Annotated[str, StringConstraints(max_length=MAX_QUERY)] = ""
    budget_tokens: Annotated[int, Field(ge=100, le=32_000)] = 2_000
    session_id: Id | None = None
    kinds: Annotated[list[RecalledKind], Field(max_length=4)] = Field(default_factory=list)
