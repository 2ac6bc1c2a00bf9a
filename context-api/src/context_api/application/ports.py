"""Ports: what the use cases need of the stores, in their own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from context_api.application.sync.ports import ReplicaReader, ReplicaWriter, SnapshotReader
from context_api.domain.audit import Entry
from memory_core.events import Event, EventDraft
from memory_core.recall.ports import RecordFilter, RecordSource
from memory_core.records import Document, Kind, Ref
from memory_core.requests import CheckpointFilter, PatternFilter, SessionFilter


@dataclass(frozen=True, slots=True)
class Head:
    """Where a project's log stands."""

    seq: int
    digest: bytes
    epoch: str

    @property
    def position(self) -> tuple[int, bytes]:
        """The seq and digest of the last event."""
        return (self.seq, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOperation:
    """What an operation left in the log."""

    project_id: str
    first_seq: int
    last_seq: int
    op_hash: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks: decides which rows exist for them. ``project_ids`` None means all.

    ``sees_private`` is for the indexer, which reads for everyone; never for an answer.
    """

    tenant_id: str
    actor: str
    project_ids: frozenset[str] | None = None
    sees_private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextLoad:
    """One item that a context pack gave out."""

    recall_id: str
    position: int
    project_id: str
    kind: str
    record_id: str
    reason: str
    score: float | None
    tokens: int
    actor: str
    loaded_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """An API key as stored: only the hash of its secret."""

    tenant_id: str
    id: str
    name: str
    owner: str
    secret_hash: bytes
    scopes: tuple[str, ...]
    project_ids: tuple[str, ...] | None
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None

    def works_at(self, at: str) -> bool:
        """Says whether the key is neither revoked nor expired at a time."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A team, as stored."""

    id: str
    name: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of a list, newest first: rows before ``before`` (created_at, id)."""

    limit: int
    before: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log as an indexer sees it: what changed, not to what."""

    seq: int
    kind: Kind
    record_id: str
    parent_id: str | None
    type: str


class Moved(Exception):
    """What a decision rests on was changed by others before it was written."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append came to: its last seq, and records that it made, as their owner reads them.

    A record that is missing has to be read.
    """

    seq: int
    made: Mapping[Ref, Document] = field(default_factory=dict)


class Decided(NamedTuple):
    """The events that carry out one operation."""

    op_id: str
    drafts: Sequence[EventDraft]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an operation finds: its project, what it left before, and the documents it names."""

    project_id: str
    repeat: StoredOperation | None
    documents: Mapping[Ref, Document]


class Log(Protocol):
    """Reads the logs of a tenant."""

    async def head(self, project_id: str) -> Head | None:
        """Returns where a project's log stands."""

    async def page(self, project_id: str, after: int, limit: int) -> list[Event]:
        """Returns the next events after ``after``, in order."""

    async def lengths(self, project_id: str, after: int, limit: int) -> list[int]:
        """Returns how many characters of content each event of `page` has."""

    def digests(
        self, project_id: str, low: int, high: int, size: int = 10_000
    ) -> AsyncIterator[list[bytes]]:
        """Yields the digests of the events ``low`` to ``high`` in order, ``size`` at a time."""

    async def at(self, project_id: str, seqs: Sequence[int]) -> list[Event]:
        """Returns the events at some positions, in order."""

    async def lengths_at(self, project_id: str, seqs: Sequence[int]) -> list[tuple[int, int]]:
        """Returns position and characters of content of the events of `at`."""

    def pages(self, project_id: str, after: int = 0, size: int = 500) -> AsyncIterator[list[Event]]:
        """Yields the log after ``after`` page by page."""

    async def of_record(
        self, record_id: str, upto: int | None = None, *, own_only: bool = False
    ) -> list[Event]:
        """Returns the events of one record; without ``own_only`` also of what belongs to it."""

    async def operation(self, op_id: str) -> StoredOperation | None:
        """Returns what an operation left in the log."""

    async def known(self, op_ids: Sequence[str]) -> frozenset[str]:
        """Returns those operations that left something in any log."""

    async def changes(self, project_id: str, after: int, limit: int) -> list[Change]:
        """Returns what changed after ``after``, in order."""


class Records(Protocol):
    """Reads records as one viewer sees them."""

    async def get(self, kind: Kind, record_id: str) -> Document | None:
        """Returns a visible record, or None."""

    async def stored(self, kind: Kind, record_id: str) -> Document | None:
        """Returns a record of the tenant also if it is deleted or hidden."""

    async def many(
        self, refs: Iterable[Ref], chosen: RecordFilter | None = None
    ) -> dict[Ref, Document]:
        """Returns those ``refs`` that are visible and pass the filter, if there is one."""

    async def project(self, name: str) -> Document | None:
        """Returns a visible project by id or slug, with its head and epoch."""

    async def projects(
        self, *, slug: str | None, remote: str | None, window: Window
    ) -> list[Document]:
        """Returns visible projects, newest first."""

    async def sessions(self, chosen: SessionFilter, window: Window) -> list[Document]:
        """Returns visible sessions, newest first; ``chosen.project`` is an id."""

    async def checkpoints(self, chosen: CheckpointFilter, window: Window) -> list[Document]:
        """Returns visible checkpoints, newest first; ``chosen.project`` is an id."""

    async def patterns(self, chosen: PatternFilter, window: Window) -> list[Document]:
        """Returns visible patterns, newest first; ``chosen.project`` is an id."""

    async def messages(self, session_id: str, after: int, limit: int) -> list[Document]:
        """Returns a visible session's messages after a position, in order."""

    async def tags(self, project_id: str | None) -> list[Document]:
        """Returns tags in use with how many sessions and patterns carry them."""

    async def conflicts(self, project_id: str | None) -> list[Document]:
        """Returns open conflicts."""

    async def hidden(self, project_id: str) -> frozenset[str]:
        """Returns the ids of a project's PRIVATE records that are not the viewer's."""


class AuditReader(Protocol):
    """Reads the audit log of a tenant."""

    async def newest(self, *, before: int | None, act: str | None, limit: int) -> list[Entry]:
        """Returns up to ``limit`` entries whose seq is smaller than ``before``, newest first."""

    def chain(self) -> AsyncIterator[Entry]:
        """Yields every entry, in order."""


class AuditWriter(Protocol):
    """Adds to the audit log of a tenant."""

    async def add(self, entry: Entry) -> None:
        """Adds an entry at the end of the chain."""


class WriteTx(Protocol):
    """A transaction that may write; leaving it without `commit` undoes it."""

    @property
    def audit(self) -> AuditWriter:
        """The audit log, for what this transaction does."""

    @property
    def log(self) -> Log:
        """The logs of the tenant, with this transaction's own appends."""

    @property
    def replicas(self) -> ReplicaWriter:
        """The replicas of the tenant."""

    async def hold(self, project_id: str) -> None:
        """Keeps other writers of a project waiting, so that what is read now stays true."""

    async def standing(
        self, viewer: Viewer, project: str | Ref, op_id: str, refs: Iterable[Ref], *, hold: bool
    ) -> Standing:
        """Returns what an operation on a visible project is decided upon.

        The project is named by its id or slug, or by a record of it. Without ``hold`` what is
        found may change before `append`, which then raises `Moved` if it makes or changes one
        of ``refs``.

        Raises:
            ProjectNotFound, NotFound: there is none that the viewer may see.
        """

    async def documents(self, refs: Iterable[Ref]) -> dict[Ref, Document]:
        """Returns the documents of those ``refs`` that exist, whoever may see them."""

    async def child_sessions(self, session_id: str) -> tuple[str, ...]:
        """Returns all sessions below a session that are not erased."""

    async def project_id_of_slug(self, slug: str) -> str | None:
        """Returns the project that has a slug."""

    async def project_ids_of_remotes(self, remotes: Iterable[str]) -> list[str]:
        """Returns the projects that have one of the remotes."""

    async def append(
        self,
        project_id: str,
        drafts: Sequence[EventDraft],
        *,
        op_id: str,
        op_hash: bytes | None,
        actor: str,
        recorded_at: str,
    ) -> Appended:
        """Appends events and brings the read models up to them.

        Raises:
            Moved: the project is not held, and what was read of it has changed since.
        """

    async def append_all(
        self, project_id: str, decided: Sequence[Decided], *, actor: str, recorded_at: str
    ) -> None:
        """Appends the events of several operations, in order, to a project that is held."""

    async def restore(self, events: Sequence[Event], epoch: str) -> None:
        """Takes over sealed events that follow the project's head."""

    async def clear_views(self, project_id: str) -> None:
        """Empties every read model of a project."""

    async def project(self, events: Sequence[Event]) -> None:
        """Writes what ``events`` of the log do to the read models."""

    async def recount_loads(self, project_id: str) -> None:
        """Sets access counters from what contexts loaded."""

    async def add_loads(self, loads: Sequence[ContextLoad]) -> None:
        """Keeps what a context pack gave out; what is kept already is left alone."""

    async def add_key(self, key: StoredKey) -> None:
        """Stores an API key."""

    async def revoke_key(self, key_id: str, at: str) -> bool:
        """Revokes a key; False if there is none."""

    async def end_key(self, key_id: str, at: str) -> StoredKey | None:
        """Lets a key end at ``at`` unless it ends earlier; returns it as it was before."""

    async def touch_key(self, key_id: str, at: str) -> None:
        """Notes that a key was used."""

    async def add_tenant(self, name: str, at: str) -> None:
        """Makes the tenant's row if it is not there."""

    async def commit(self) -> None:
        """Makes everything durable as one."""


class ReadTx(Protocol):
    """A consistent view of one moment."""

    @property
    def audit(self) -> AuditReader:
        """The audit log of the viewer's tenant."""

    @property
    def log(self) -> Log:
        """The logs of the viewer's tenant."""

    @property
    def records(self) -> Records:
        """The records the viewer may see."""

    @property
    def replicas(self) -> ReplicaReader:
        """The replicas of the viewer's tenant."""

    @property
    def snapshots(self) -> SnapshotReader:
        """The records the viewer may see, for a replica that begins."""

    async def keys(self) -> list[StoredKey]:
        """Returns the tenant's API keys."""

    async def all_project_ids(self) -> list[str]:
        """Returns every project of the tenant, oldest first."""

    async def tenant(self) -> Tenant | None:
        """Returns the viewer's tenant itself."""

    async def heads(self, project_ids: Sequence[str] | None = None) -> dict[str, int]:
        """Returns the head of every project of the tenant, or of those named, by its id."""

    async def oldest(self, positions: Mapping[str, int]) -> str | None:
        """Returns the earliest time at which any event at these positions was recorded."""

    async def loads(self) -> list[ContextLoad]:
        """Returns what context packs gave out, oldest first."""

    async def view_digest(self) -> bytes:
        """Returns one digest over every row of every view of the tenant."""

    def view_rows(self, project_id: str, kind: Kind) -> AsyncIterator[Document]:
        """Yields every stored document of a kind, also deleted ones."""


class Recalled(RecordSource, Protocol):
    """The rows that recall needs, by the fastest way there is. Each call is one moment."""

    def projects(self, names: Sequence[str]) -> list[Document | None]:
        """Returns each visible project by id or slug, None where there is none. From threads."""
        ...

    def load_beside(
        self, refs: Sequence[Ref], chosen: RecordFilter, names: Sequence[str]
    ) -> tuple[Mapping[Ref, Document], list[Document | None]]:
        """Returns what `load` and `projects` do, of one moment. From threads."""
        ...

    async def look(self, names: Sequence[str]) -> list[Document | None]:
        """Returns what `projects` does, to a caller on the event loop."""
        ...

    async def look_around(self, limit: int) -> list[Document]:
        """Returns the visible projects, newest first."""
        ...


class UnitOfWork(Protocol):
    """Opens transactions."""

    def write(self, tenant_id: str, project: str = "") -> AbstractAsyncContextManager[WriteTx]:
        """Opens a write transaction of a tenant.

        Where ``project`` names one, by id, slug or ``kind id`` of a record, its writers leave
        room for those of others.
        """

    def read(self, viewer: Viewer) -> AbstractAsyncContextManager[ReadTx]:
        """Opens a read transaction as ``viewer``."""

    def glance(self, viewer: Viewer) -> AbstractAsyncContextManager[Records]:
        """Opens a read transaction for a few rows by their keys; nothing else may be awaited."""

    def recalled(self, viewer: Viewer) -> Recalled:
        """Returns the records for recall, as ``viewer`` sees them."""

    async def find_key(self, key_id: str) -> StoredKey | None:
        """Returns an API key by its public id, whichever tenant it belongs to."""

    async def tenants(self) -> list[str]:
        """Returns the ids of all tenants."""

    async def checkpoint(self) -> bool:
        """Moves what was erased out of the database's own log; False if it must wait."""
