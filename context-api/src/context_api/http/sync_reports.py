"""Models of what replicas are answered."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from context_api.http.answers import Answer, Moment, Uuid


class Acked(Answer):
    """The last operation of the replica that was carried out; ``hash`` is that of `push`."""

    number: int
    hash: str | None


class PushResult(Answer):
    """What became of one operation; its effect is in the log at ``seq``."""

    number: int
    op_id: Uuid
    outcome: Literal["accepted", "duplicate", "conflict", "rejected"]
    seq: int
    head: int
    conflicts: list[Uuid]
    problem: dict[str, JsonValue] | None = None


class Pushed(Answer):
    """What became of the operations, up to the one at which the hub ``stopped``, if it did."""

    protocol: int
    epoch: Uuid
    head: int
    acked: Acked
    expected: int
    results: list[PushResult]
    stopped: dict[str, JsonValue] | None = None


class PulledEvent(Answer):
    """An event of the log with all that its digests cover.

    ``withheld``: the content is kept back, because the record is PRIVATE to somebody else;
    otherwise content that is null has been erased.
    """

    project_id: Uuid
    seq: int
    type: str
    kind: str
    record_id: Uuid
    parent_id: Uuid | None
    op_id: Uuid
    op_index: int
    actor: str
    occurred_at: Moment
    recorded_at: Moment
    redactions: dict[str, int]
    content: dict[str, JsonValue] | None
    salt: str | None
    content_digest: str
    digest: str
    withheld: bool


class ModelName(Answer):
    """The model whose vectors the hub hands out."""

    name: str
    dimension: int


class SharedProject(Answer):
    """The project that all others follow."""

    id: Uuid
    slug: str


class PulledPage(Answer):
    """A part of a project's log; ``digest`` is that of the chain at ``next_after``."""

    protocol: int
    epoch: Uuid
    head: int
    floor: int
    project: dict[str, JsonValue]
    actor: str
    items: list[PulledEvent]
    next_after: int
    up_to_date: bool
    acked: Acked
    digest: str
    model: ModelName | None
    shared: SharedProject | None


class ReplicaState(Answer):
    """A replica of a project; ``lag`` counts the events it has not read yet.

    ``offline``: not seen for 45 minutes. ``alert``: more than 100 operations wait in it.
    """

    id: Uuid
    project: str
    project_id: Uuid
    name: str
    actor: str
    agent: str
    protocol: int
    state: Literal["active", "paused", "offline"]
    first_seen: Moment
    last_seen: Moment
    cursor: int
    head: int
    lag: int
    pending: int
    conflicts: int
    rejected: int
    alert: bool


class Unerased(Answer):
    """An erasure that replicas have not confirmed: those that are ``waiting`` may still hold it."""

    project: str
    project_id: Uuid
    seq: int
    record_id: Uuid
    waiting: list[Uuid]


class SyncStatus(Answer):
    """How the replicas are, and what some of them still have to erase, newest first."""

    replicas: list[ReplicaState]
    erasures: list[Unerased]


class ModelFile(Answer):
    """A file of the model."""

    name: str
    size: int
    sha256: str


class Model(Answer):
    """The model that the hub embeds with."""

    name: str
    dimension: int
    precision: str
    files: list[ModelFile]


class SnapshotItem(Answer):
    """A record as it is, in the form in which its events make it."""

    kind: Literal["project", "session", "message", "checkpoint", "pattern", "conflict"]
    document: dict[str, JsonValue]


class SnapshotPage(Answer):
    """Records of a project; with the events after ``seq`` they are the whole.

    A document may be newer than ``seq``; ``digest`` is that of the chain at ``seq``.
    """

    epoch: Uuid
    seq: int
    digest: str
    items: list[SnapshotItem]
    next_cursor: str | None


class RangeDigests(Answer):
    """A SHA-256 over the digests of the events of each range, in the order of the ranges."""

    epoch: Uuid
    head: int
    digests: list[str]


class EventList(Answer):
    """Single events of a log, in order."""

    items: list[PulledEvent]
