"""What a caller asks of the use cases that read: filters, searches, packs, pages, keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from memory_core.fields import Id, Input, Line, RequiredLine, RequiredText, Tag, Tags, Time
from memory_core.records import Document, PatternType, SessionStatus

MAX_QUERY = 10_000
MAX_PROJECTS = 100
MAX_OVERLAP_S = 30 * 24 * 3600

Scope = Literal["read", "write", "admin"]
RecalledKind = Literal["session", "message", "checkpoint", "pattern"]
ProjectName = Annotated[RequiredLine, Field(description="A project's id or slug.")]
Query = Annotated[RequiredText, StringConstraints(max_length=MAX_QUERY)]
Position = Annotated[int, Field(ge=0, le=2**62)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list is asked for: at most ``limit`` items, after ``cursor``."""

    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page of documents, newest first; ``next_cursor`` is None on the last one."""

    items: list[Document]
    next_cursor: str | None = None


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


class CreateKey(Input):
    """Makes an API key; without ``projects`` it reaches all of the tenant's."""

    name: RequiredLine
    owner: RequiredLine | None = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)]
    projects: Annotated[list[ProjectName], Field(min_length=1, max_length=MAX_PROJECTS)] | None = (
        None
    )
    expires_at: Time | None = None


class RotateKey(Input):
    """Replaces a key by a new one; the old one goes on for ``overlap_seconds``, 0 ends it now."""

    overlap_seconds: Annotated[int, Field(ge=0, le=MAX_OVERLAP_S)] = 24 * 3600
    expires_at: Annotated[
        Time | None, Field(description="When the new key ends; empty: when the old one would have.")
    ] = None


class CreateTenant(Input):
    """Makes a team of its own, with its first admin key."""

    id: Id | None = None
    name: RequiredLine
    owner: Annotated[RequiredLine, Field(description="Who acts with its first key.")] = "admin"
