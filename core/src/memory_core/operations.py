"""Operations: what a client asks for. The hub decides them into events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from memory_core.fields import (
    MAX_MESSAGES,
    Counter,
    Id,
    Input,
    Line,
    Metadata,
    Path,
    Paths,
    Remotes,
    RequiredLine,
    RequiredText,
    Slug,
    Tags,
    Text,
    Time,
)
from memory_core.records import Kind, PatternType, Privacy, Role, SessionStatus

StoredPrivacy: TypeAlias = Literal[Privacy.PUBLIC, Privacy.TEAM, Privacy.PRIVATE]


class NewMessage(Input):
    """One turn to append to a session."""

    id: Id | None = None
    role: Role
    text: RequiredText
    author: Line = ""
    tool_name: Line | None = None
    source_id: Line | None = None
    created_at: Time | None = None
    token_count: Counter | None = None
    metadata: Metadata = Field(default_factory=dict)


class CreateProject(Input):
    """Makes a project, or finds the one that has the slug or a remote."""

    id: Id | None = None
    slug: Slug
    remotes: Remotes = Field(default_factory=list)
    parent: Line | None = None
    identity: Literal["marker", "remote", "git-dir", "path", "name"] = "name"


class UpdateProject(Input):
    """Changes a project's name, parent or remotes."""

    slug: Slug | None = None
    parent: Line | None = None
    remotes_add: Remotes = Field(default_factory=list)
    remotes_remove: Remotes = Field(default_factory=list)


class CreateSession(Input):
    """Makes a session, with its first messages if there are any."""

    id: Id | None = None
    title: RequiredLine
    description: Text = ""
    summary: Text = ""
    agent: Line = ""
    privacy_level: Privacy = Privacy.TEAM
    tags: Tags = Field(default_factory=list)
    messages: Annotated[list[NewMessage], Field(max_length=MAX_MESSAGES)] = Field(
        default_factory=list
    )
    files_changed: Paths = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    parent_session_id: Id | None = None
    source_id: Line | None = None
    started_at: Time | None = None
    ended_at: Time | None = None


class UpdateSession(Input):
    """Changes the fields that are named; all others stay."""

    title: RequiredLine | None = None
    description: Text | None = None
    summary: Text | None = None
    agent: Line | None = None
    status: Literal[SessionStatus.ACTIVE, SessionStatus.ARCHIVED] | None = None
    privacy_level: StoredPrivacy | None = None
    tags: Tags | None = None
    tags_add: Tags = Field(default_factory=list)
    tags_remove: Tags = Field(default_factory=list)
    files_changed: Paths | None = None
    metadata: Metadata | None = None
    ended_at: Time | None = None


class AppendMessages(Input):
    """Appends turns to a session; a message whose id is there already is left alone."""

    messages: Annotated[list[NewMessage], Field(min_length=1, max_length=MAX_MESSAGES)]


class CreateCheckpoint(Input):
    """Saves the state of work. A checkpoint never changes afterwards."""

    id: Id | None = None
    session_id: Id | None = None
    description: RequiredText
    next_steps: Text = ""
    git_commit: Line | None = None
    git_branch: Line | None = None
    git_status: Text = ""
    files_changed: Paths = Field(default_factory=list)
    tasks_completed: Annotated[list[Text], Field(max_length=500)] = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    privacy_level: Privacy = Privacy.TEAM
    source_id: Line | None = None
    created_at: Time | None = None


class Citation(Input):
    """Where in a repository a pattern was seen."""

    path: Path
    symbol: Line | None = None
    blob: Line | None = None
    commit: Line | None = None


class CreatePattern(Input):
    """Saves a reusable lesson."""

    id: Id | None = None
    pattern_type: PatternType
    name: RequiredLine
    description: Text = ""
    body: Text = ""
    example: Text = ""
    category: Line = ""
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.5
    frequency: Counter = 1
    tags: Tags = Field(default_factory=list)
    citations: Annotated[list[Citation], Field(max_length=100)] = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    source_session_id: Id | None = None
    parent_pattern_id: Id | None = None
    privacy_level: Privacy = Privacy.TEAM
    source_id: Line | None = None
    created_at: Time | None = None


class UpdatePattern(Input):
    """Changes the fields that are named; all others stay."""

    pattern_type: PatternType | None = None
    name: RequiredLine | None = None
    description: Text | None = None
    body: Text | None = None
    example: Text | None = None
    category: Line | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency: Counter | None = None
    deprecated: bool | None = None
    tags: Tags | None = None
    tags_add: Tags = Field(default_factory=list)
    tags_remove: Tags = Field(default_factory=list)
    citations: Annotated[list[Citation], Field(max_length=100)] | None = None
    metadata: Metadata | None = None
    privacy_level: StoredPrivacy | None = None


class RecordOutcome(Input):
    """Says whether a pattern worked when it was used."""

    success: bool


class Delete(Input):
    """Hides a record for good; what it held stays in the log."""


class Erase(Input):
    """Removes a record and what it held from the log, every view and every replica."""


class ResolveConflict(Input):
    """Closes a conflict: the kept value stays, or the pushed or an edited one takes its place.

    ``record_kind`` and ``record_id`` name the record that the conflict is about.
    """

    record_kind: Literal[Kind.PROJECT, Kind.SESSION, Kind.PATTERN]
    record_id: Id
    resolution: Literal["kept", "pushed", "edited"]
    value: JsonValue = None


Body: TypeAlias = (
    CreateProject
    | UpdateProject
    | CreateSession
    | UpdateSession
    | AppendMessages
    | CreateCheckpoint
    | CreatePattern
    | UpdatePattern
    | RecordOutcome
    | Delete
    | Erase
    | ResolveConflict
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A request on one record, under an id that makes it happen at most once.

    ``base`` is the id of the last operation on the record that the author had seen.
    """

    op_id: str
    kind: Kind
    record_id: str
    body: Body
    base: str | None = None
