"""Models of answers that are no single record: recall, events, keys, the hub's own state."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from context_api.http.answers import Answer, Moment, Uuid
from context_api.http.documents import Counts

RecalledKind = Literal["session", "message", "checkpoint", "pattern"]


class TagUse(Answer):
    """A tag and how often it is used."""

    tag: str
    sessions: int
    patterns: int


class TagList(Answer):
    """The tags in use."""

    items: list[TagUse]


class Conflict(Answer):
    """A field that two sides changed: the hub's value stays, the pushed one is kept here."""

    id: Uuid
    project_id: Uuid
    record_id: Uuid
    record_kind: str
    field: str
    kept: JsonValue
    pushed: JsonValue
    base: Uuid | None
    author: str
    resolution: str | None
    resolved_by: str | None
    value: JsonValue
    version: int
    last_op: Uuid
    seq: int
    created_at: Moment
    updated_at: Moment


class ConflictList(Answer):
    """Open conflicts first."""

    items: list[Conflict]


class Hit(Answer):
    """Something recalled, with where it comes from.

    ``repeats`` are records that say the same and were left out.
    """

    kind: RecalledKind
    id: Uuid
    session_id: Uuid | None
    source_id: str | None
    project: str
    project_id: Uuid
    score: float
    title: str
    snippet: str
    author: str
    role: str | None
    created_at: Moment
    repeats: list[Uuid]
    explain: dict[str, JsonValue] | None = None


class SearchAnswer(Answer):
    """What was recalled, best first; ``degraded`` names parts that did not take part."""

    hits: list[Hit]
    nothing_relevant: bool
    degraded: list[str]
    mend: str | None = None
    indexed_seq: int
    head: int
    took_ms: float
    timings_ms: dict[str, float] | None = None


class PackItem(Answer):
    """One part of a context pack."""

    kind: RecalledKind
    id: Uuid
    title: str
    reason: str
    score: float | None
    tokens: int


class ContextPack(Answer):
    """Recall packed into a token budget; ``text`` is notes from the past, not instructions.

    ``recall_kept`` says that what was given out is counted, which a full disk prevents.
    """

    text: str
    items: list[PackItem]
    tokens_used: int
    budget_tokens: int
    recall_id: Uuid
    recall_kept: bool
    nothing_relevant: bool
    degraded: list[str]
    mend: str | None = None


class Event(Answer):
    """An entry of a project's log; ``content`` is null once erased or when it is private."""

    seq: int
    type: str
    kind: str
    record_id: Uuid
    parent_id: Uuid | None
    op_id: Uuid
    actor: str
    occurred_at: Moment
    recorded_at: Moment
    content: dict[str, JsonValue] | None
    redactions: Counts
    digest: str


class EventPage(Answer):
    """Events in order after a position."""

    items: list[Event]
    head: int
    epoch: str
    next_after: int


class Key(Answer):
    """An API key, without its secret."""

    id: str
    name: str
    owner: str
    scopes: list[str]
    projects: list[str] | None
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None


class NewKey(Key):
    """A key as it is made: ``key`` is shown this once."""

    key: str


class ReplacedKey(Answer):
    """The key that another one replaces, and when it ends."""

    id: str
    expires_at: Moment


class RotatedKey(NewKey):
    """A key that replaces another one."""

    replaces: ReplacedKey


class NewTenant(Answer):
    """A tenant as it is made: ``key``, its first admin key, is shown this once."""

    id: Uuid
    name: str
    created_at: Moment
    key: str


class Tenant(Answer):
    """A tenant, and how much it holds; ``keys`` counts those that work."""

    id: Uuid
    name: str
    created_at: Moment
    projects: int
    events: int
    keys: int


class TenantList(Answer):
    """All tenants."""

    items: list[Tenant]


class KeyList(Answer):
    """The tenant's keys."""

    items: list[Key]


class AuditEntry(Answer):
    """Who did what; ``digest`` covers this entry and, through its place, all before it."""

    seq: int
    at: Moment
    key_id: str
    actor: str
    act: str
    target: str
    detail: dict[str, JsonValue]
    digest: str


class AuditList(Answer):
    """A page of the audit log, newest entry first."""

    items: list[AuditEntry]
    next_cursor: str | None


class AuditVerification(Answer):
    """Whether the audit log is whole; ``head``, kept elsewhere, anchors it."""

    ok: bool
    entries: int
    problem: str | None
    head: str


class VerifiedProject(Answer):
    """The result of checking one project's log."""

    project: Uuid
    slug: str | None
    events: int
    ok: bool
    problem: str | None
    differing_views: list[str]


class Verification(Answer):
    """The result of checking every log against its digests and the views against the logs."""

    ok: bool
    projects: list[VerifiedProject]
    events: int


class CaredProject(Answer):
    """How the vector server's contents of a project compare with SQL, and what was changed."""

    project: str
    project_id: Uuid
    generation: int
    model: str
    dimension: int
    verdict: Literal["ok", "drifted", "damaged"]
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


class VectorCare(Answer):
    """What verifying, repairing or rebuilding vectors found."""

    ok: bool
    projects: list[CaredProject]


class Rebuild(Answer):
    """Digests of all views before and after they were made again from the log."""

    before: str
    after: str
    equal: bool
    projects: int
    took_ms: float


class Imported(Answer):
    """What an import brought in; ``erased`` counts erasures of its own list that were due."""

    projects: int
    events: int
    skipped: int
    keys: int
    erased: int


class ModelState(Answer):
    """The embedding model in use."""

    name: str | None
    dimension: int | None
    state: str


class IndexState(Answer):
    """How far a project's indexes are behind its log."""

    project: str
    head: int
    lexical_seq: int
    vector_seq: int
    pending: int
    dead: int


class DegradedPart(Answer):
    """A part that does not work, and how to mend it."""

    part: str
    reason: str
    mend: str


class Status(Answer):
    """The state of the hub."""

    version: str
    mode: str
    schema_revision: str
    model: ModelState
    index: list[IndexState]
    degraded: list[DegradedPart]
    started_at: Moment
    uptime_s: float
    sqlite_version: str | None


class Live(Answer):
    """The process answers."""

    status: Literal["ok"]


class Ready(Answer):
    """The hub can do its work, or says what keeps it from it."""

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, JsonValue] = Field(default_factory=dict)
