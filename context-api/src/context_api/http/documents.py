"""Models of the documents in answers. They describe; `answers.Json` writes the documents."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from context_api.http.answers import Answer, Moment, Uuid
from memory_core.records import PatternType, Role, SessionStatus

StoredPrivacy = Literal["PUBLIC", "TEAM", "PRIVATE"]
Counts = dict[str, int]


class Record(Answer):
    """What every record carries: whose it is, and where it stands in its project's log."""

    id: Uuid
    owner: str
    deleted: bool
    erased: bool
    version: int
    last_op: Uuid
    seq: int
    created_seq: int
    created_at: Moment
    updated_at: Moment


class OfProject(Record):
    """A record of a project; ``project`` is its slug."""

    project_id: Uuid
    project: str


class Project(Record):
    """A repository or submodule."""

    slug: str
    identity: str
    remotes: list[str]
    parent_id: Uuid | None
    head: int
    indexed_seq: int
    epoch: str


class SessionState(OfProject):
    """What the log says about a session."""

    agent: str
    title: str
    description: str
    summary: str
    privacy_level: StoredPrivacy
    status: SessionStatus
    parent_session_id: Uuid | None
    source_id: str | None
    started_at: Moment
    ended_at: Moment | None
    message_count: int
    token_count: int
    files_changed: list[str]
    metadata: dict[str, JsonValue]
    tags: list[str]


class Session(SessionState):
    """One conversation with an agent, and how often contexts took from it."""

    access_count: int
    last_accessed: Moment | None


class PastSession(SessionState):
    """A session as it was at a position of its project's log."""

    as_of: int


class StoredSession(Session):
    """A session with what storing it did."""

    added: int
    duplicates: int
    differing: list[str]
    redactions: Counts


class UpdatedSession(Session):
    """A session after a change; ``conflicts`` names fields that kept the hub's value."""

    conflicts: list[str]


class NotStored(Answer):
    """The answer to an EPHEMERAL record: looked at, counted, not kept."""

    stored: Literal[False]
    redactions: Counts


class Message(OfProject):
    """One turn of a session."""

    session_id: Uuid
    position: int
    role: Role
    author: str
    text: str
    tool_name: str | None
    source_id: str | None
    token_count: int | None
    metadata: dict[str, JsonValue]


class MessagePage(Answer):
    """Messages in order; ``next_after`` is None when there are no more yet."""

    items: list[Message]
    next_after: int | None


class Appended(Answer):
    """What appending messages did; ``differing`` are stored ones whose text is another."""

    session_id: Uuid
    added: int
    duplicates: int
    differing: list[str]
    redactions: Counts
    head: int


class Checkpoint(OfProject):
    """A saved state of work."""

    session_id: Uuid | None
    description: str
    next_steps: str
    git_commit: str | None
    git_branch: str | None
    git_status: str
    files_changed: list[str]
    tasks_completed: list[str]
    metadata: dict[str, JsonValue]
    privacy_level: StoredPrivacy
    source_id: str | None


class PatternCitation(Answer):
    """Where in a repository a pattern was seen."""

    path: str
    symbol: str | None
    blob: str | None
    commit: str | None


class Pattern(OfProject):
    """A reusable lesson."""

    pattern_type: PatternType
    name: str
    description: str
    body: str
    example: str
    category: str
    confidence: float
    quality_score: float
    frequency: int
    reuse_count: int
    successes: int
    failures: int
    source_session_id: Uuid | None
    parent_pattern_id: Uuid | None
    deprecated: bool
    citations: list[PatternCitation]
    tags: list[str]
    metadata: dict[str, JsonValue]
    privacy_level: StoredPrivacy
    source_id: str | None


class UpdatedPattern(Pattern):
    """A pattern after a change; ``conflicts`` names fields that kept the hub's value."""

    conflicts: list[str]


class UpdatedProject(Project):
    """A project after a change; ``conflicts`` names fields that kept the hub's value."""

    conflicts: list[str]


class ReplicaCounts(Answer):
    """How many replicas of a project are in each state."""

    active: int
    paused: int
    offline: int


class FollowedProject(Project):
    """A project, with its replicas."""

    replicas: ReplicaCounts


class ProjectList(Answer):
    """A page of projects, newest first."""

    items: list[FollowedProject]
    next_cursor: str | None


class SessionList(Answer):
    """A page of sessions, newest first."""

    items: list[Session]
    next_cursor: str | None


class CheckpointList(Answer):
    """A page of checkpoints, newest first."""

    items: list[Checkpoint]
    next_cursor: str | None


class PatternList(Answer):
    """A page of patterns, newest first."""

    items: list[Pattern]
    next_cursor: str | None
