"""The shapes of the hub's answers, for type checkers and readers.

They are what `json.loads` gives: nothing is converted, fields of a newer hub are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NotRequired, TypedDict, TypeVar

if TYPE_CHECKING:
    from pydantic import JsonValue

    Metadata = dict[str, JsonValue]

T = TypeVar("T")


class Page(TypedDict, Generic[T]):
    """A part of a list, and the cursor of the next part."""

    items: list[T]
    next_cursor: str | None


class Project(TypedDict):
    """A repository or submodule."""

    id: str
    slug: str
    identity: str
    remotes: list[str]
    parent_id: str | None
    owner: str
    head: int
    indexed_seq: int
    epoch: str
    version: int
    last_op: str
    created_at: str
    updated_at: str


class Session(TypedDict):
    """One conversation with an agent."""

    id: str
    project_id: str
    project: str
    agent: str
    title: str
    description: str
    summary: str
    privacy_level: str
    owner: str
    status: str
    parent_session_id: str | None
    source_id: str | None
    started_at: str
    ended_at: str | None
    message_count: int
    token_count: int
    files_changed: list[str]
    metadata: Metadata
    tags: list[str]
    version: int
    last_op: str
    seq: int
    created_seq: int
    created_at: str
    updated_at: str
    access_count: int
    last_accessed: str | None
    conflicts: NotRequired[list[str]]


class SavedSession(Session):
    """A session as it was just saved, with what became of the messages sent along."""

    added: int
    duplicates: int
    differing: list[str]
    redactions: dict[str, int]


class Message(TypedDict):
    """One turn."""

    id: str
    project_id: str
    session_id: str
    position: int
    role: str
    author: str
    text: str
    tool_name: str | None
    source_id: str | None
    created_at: str
    token_count: int | None
    metadata: Metadata
    owner: str
    seq: int


class MessagePage(TypedDict):
    """A part of a session's messages, and the position to go on after."""

    items: list[Message]
    next_after: int | None


class Appended(TypedDict):
    """What became of messages that were sent."""

    added: int
    duplicates: int
    differing: list[str]
    head: int
    session_id: str
    redactions: NotRequired[dict[str, int]]


class Checkpoint(TypedDict):
    """An immutable saved state of work."""

    id: str
    project_id: str
    project: str
    session_id: str | None
    description: str
    next_steps: str
    git_commit: str | None
    git_branch: str | None
    git_status: str
    files_changed: list[str]
    tasks_completed: list[str]
    metadata: Metadata
    privacy_level: str
    owner: str
    source_id: str | None
    created_at: str
    seq: int


class Pattern(TypedDict):
    """A reusable lesson."""

    id: str
    project_id: str
    project: str
    pattern_type: str
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
    source_session_id: str | None
    parent_pattern_id: str | None
    deprecated: bool
    citations: list[dict[str, str | None]]
    tags: list[str]
    metadata: Metadata
    privacy_level: str
    owner: str
    source_id: str | None
    version: int
    last_op: str
    seq: int
    created_at: str
    updated_at: str
    conflicts: NotRequired[list[str]]


class Tag(TypedDict):
    """A tag and how often it is used."""

    tag: str
    sessions: int
    patterns: int


class Hit(TypedDict):
    """One record that a search found."""

    kind: str
    id: str
    session_id: str | None
    source_id: str | None
    project: str
    project_id: str
    score: float
    title: str
    snippet: str
    author: str
    role: str | None
    created_at: str
    explain: NotRequired[dict[str, JsonValue]]


class SearchAnswer(TypedDict):
    """What a search found, best first."""

    hits: list[Hit]
    nothing_relevant: bool
    degraded: list[str]
    mend: NotRequired[str | None]
    indexed_seq: int
    head: int
    took_ms: float


class ContextItem(TypedDict):
    """One record in a context pack, and why it is there."""

    kind: str
    id: str
    title: str
    reason: str
    score: float | None
    tokens: int


class ContextPack(TypedDict):
    """Recall packed into a token budget."""

    text: str
    items: list[ContextItem]
    tokens_used: int
    budget_tokens: int
    recall_id: str
    nothing_relevant: bool
    degraded: list[str]


class LogEvent(TypedDict):
    """One entry of a project's log; ``digest`` is hexadecimal."""

    seq: int
    type: str
    kind: str
    record_id: str
    parent_id: str | None
    op_id: str
    actor: str
    occurred_at: str
    recorded_at: str
    content: dict[str, JsonValue] | None
    redactions: dict[str, int]
    digest: str


class EventPage(TypedDict):
    """A part of a project's log, and the position to go on after."""

    items: list[LogEvent]
    head: int
    epoch: str
    next_after: int


class Key(TypedDict):
    """An API key; ``key`` itself is there only when it has just been made."""

    id: str
    name: str
    owner: str
    scopes: list[str]
    projects: list[str] | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    key: NotRequired[str]


class ReplacedKey(TypedDict):
    """The key that another one replaces, and when it ends."""

    id: str
    expires_at: str


class RotatedKey(Key):
    """A key that replaces another one."""

    replaces: ReplacedKey


class NewTenant(TypedDict):
    """A tenant as it was just made, with its first admin key."""

    id: str
    name: str
    created_at: str
    key: str


class Tenant(TypedDict):
    """A team, and how much it holds."""

    id: str
    name: str
    created_at: str
    projects: int
    events: int
    keys: int


class AuditEntry(TypedDict):
    """Who did what to keys, tenants or the hub."""

    seq: int
    at: str
    key_id: str
    actor: str
    act: str
    target: str
    detail: dict[str, JsonValue]
    digest: str


class AuditVerified(TypedDict):
    """Whether the audit log is whole, and where it ends (``seq:digest``)."""

    ok: bool
    entries: int
    problem: str | None
    head: str


class IndexStatus(TypedDict):
    """How far a project's index has come."""

    project: str
    head: int
    lexical_seq: int
    vector_seq: int
    pending: int
    dead: int


class ModelStatus(TypedDict):
    """The embedding model that the hub uses."""

    name: str | None
    dimension: int | None
    state: str


class ModelFile(TypedDict):
    """A file of the hub's model; ``sha256`` is hexadecimal."""

    name: str
    size: int
    sha256: str


class HubModel(TypedDict):
    """The model that the hub embeds with, as it hands it out."""

    name: str
    dimension: int
    precision: str
    files: list[ModelFile]


class Degraded(TypedDict):
    """A part that is not working, why, and what mends it."""

    part: str
    reason: str
    mend: str


class Status(TypedDict):
    """How the hub is doing."""

    version: str
    mode: str
    schema_revision: str
    model: ModelStatus
    index: list[IndexStatus]
    degraded: list[Degraded]
    uptime_s: float
    sqlite_version: str | None


class VerifiedProject(TypedDict):
    """What verifying one project's log and its views found."""

    project: str
    slug: str | None
    events: int
    ok: bool
    problem: str | None
    differing_views: list[str]


class Verified(TypedDict):
    """What verifying everything found."""

    ok: bool
    projects: list[VerifiedProject]
    events: int


class CaredProject(TypedDict):
    """How the vector server's contents of a project compare with SQL, and what was changed."""

    project: str
    project_id: str
    generation: int
    model: str
    dimension: int
    verdict: str
    expected: int
    held: int
    missing: int
    stale: int
    orphans: int
    waiting: int
    asked: int
    unfound: int
    damage: list[str]
    changed: dict[str, int]


class VectorCare(TypedDict):
    """What verifying, repairing or rebuilding vectors found."""

    ok: bool
    projects: list[CaredProject]


class Rebuilt(TypedDict):
    """What rebuilding every view gave: digests before and after."""

    before: str
    after: str
    equal: bool
    took_ms: float


class Imported(TypedDict):
    """What importing an export did."""

    projects: int
    events: int
    skipped: int
    keys: int
    erased: int
