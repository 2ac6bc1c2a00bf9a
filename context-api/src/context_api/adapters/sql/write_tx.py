"""A write transaction: appends to the log and keeps the read models in step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.audit import AuditWriter
from context_api.adapters.sql.batch import PROVISIONAL, batch_of, is_addition, rests_on
from context_api.adapters.sql.database import Shortcuts
from context_api.adapters.sql.dialect import Dialect, lock_names, take_time
from context_api.adapters.sql.failures import translating
from context_api.adapters.sql.keys import end_key, to_key_row
from context_api.adapters.sql.loads import add_loads, recount_loads
from context_api.adapters.sql.log import LogReader, read_head, write_events
from context_api.adapters.sql.projector import Projector
from context_api.adapters.sql.reading import Reader
from context_api.adapters.sql.replicas import ReplicaWriter
from context_api.application.ports import (
    Appended,
    ContextLoad,
    Decided,
    Head,
    Standing,
    StoredKey,
    Viewer,
)
from memory_core.errors import NotFound, ProjectNotFound
from memory_core.events import Event, EventDraft, EventType, genesis, seal, unsealed
from memory_core.records import Document, Ref


class SqlWriteTx:
    """One transaction that may write; leaving it without `commit` undoes it."""

    def __init__(
        self,
        connection: AsyncConnection,
        tenant_id: str,
        dialect: Dialect,
        *,
        committed: Callable[[], None],
        glance: Callable[[Viewer], AbstractAsyncContextManager[Reader]],
        shortcuts: Shortcuts | None,
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._dialect = dialect
        self._committed = committed
        self._glance = glance
        self._shortcuts = shortcuts
        self.project_id: str | None = None
        self._held: dict[str, Head | None] = {}
        self._projector = Projector(connection, tenant_id, dialect, shortcuts)
        self.log = LogReader(connection, tenant_id)
        self.audit = AuditWriter(connection, tenant_id, dialect)
        self.replicas = ReplicaWriter(connection, tenant_id, dialect)

    async def hold(self, project_id: str) -> None:
        """Keeps other writers of a project waiting until the commit.

        What is read from here on stays true until it is acted upon.
        """
        if project_id not in self._held:
            head = await read_head(self._connection, self._tenant_id, project_id, self._dialect)
            self._held[project_id] = head
            # Read before the lock, and perhaps changed by whoever had it.
            self._projector.forget()

    async def standing(
        self, viewer: Viewer, project: str | Ref, op_id: str, refs: Iterable[Ref], *, hold: bool
    ) -> Standing:
        """Returns what an operation on a visible project is decided upon.

        The project is named by its id or slug, or by a record of it. Without ``hold`` what is
        found may change before `append`. Where one writer has the whole database nobody waits
        for anybody, and the project is held anyway.

        Raises:
            ProjectNotFound, NotFound: there is none that the viewer may see.
        """
        refs = list(refs)
        if self._shortcuts is None:
            project_id = _found(await self._placed(viewer, project), project)
            await self.hold(project_id)
            repeat = await self.log.operation(op_id)
        else:
            there = await self._shortcuts.there(viewer, project, op_id, refs)
            project_id = _found(there.project_id, project)
            if hold:
                await self.hold(project_id)
                there = await self._shortcuts.there(viewer, project, op_id, refs)
            self._projector.miss(ref for ref in refs if ref.kind not in there.kinds)
            repeat = await self.log.operation(op_id) if there.is_repeat else None
        self.project_id = project_id
        documents = await self.documents(refs)
        return Standing(project_id=project_id, repeat=repeat, documents=documents)

    async def _placed(self, viewer: Viewer, project: str | Ref) -> str | None:
        async with self._glance(viewer) as records:
            if isinstance(project, str):
                named = await records.project(project)
                return None if named is None else str(named["id"])
            stored = await records.stored(*project)
            return None if stored is None else str(stored["project_id"])

    async def documents(self, refs: Iterable[Ref]) -> dict[Ref, Document]:
        """Returns the documents of those ``refs`` that exist, whoever may see them."""
        return await self._projector.documents(refs)

    async def child_sessions(self, session_id: str) -> tuple[str, ...]:
        """Returns the ids of all sessions below a session that are not erased."""
        table = t.sessions
        of_tenant = table.c.tenant_id == self._tenant_id
        below = (
            select(table.c.id, table.c.erased)
            .where(of_tenant, table.c.parent_session_id == session_id)
            .cte("below", recursive=True)
        )
        below = below.union(
            select(table.c.id, table.c.erased).where(
                of_tenant, table.c.parent_session_id == below.c.id
            )
        )
        rows = await self._connection.execute(
            select(below.c.id).where(below.c.erased.is_(False)).order_by(below.c.id)
        )
        return tuple(row.id for row in rows)

    async def project_id_of_slug(self, slug: str) -> str | None:
        """Returns the project that has a slug; nobody takes it until the commit."""
        await self._hold_names()
        table = t.projects
        rows = await self._connection.execute(
            select(table.c.id).where(table.c.tenant_id == self._tenant_id, table.c.slug == slug)
        )
        return rows.scalar()

    async def project_ids_of_remotes(self, remotes: Iterable[str]) -> list[str]:
        """Returns the projects that have one of the remotes; nobody takes one until the commit."""
        await self._hold_names()
        table = t.project_remotes
        rows = await self._connection.execute(
            select(table.c.project_id)
            .where(table.c.tenant_id == self._tenant_id, table.c.remote.in_(list(remotes)))
            .distinct()
            .order_by(table.c.project_id)
        )
        return [row.project_id for row in rows]

    async def _hold_names(self) -> None:
        statement = lock_names(self._dialect, self._tenant_id)
        if statement is not None:
            await self._connection.execute(statement)

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
        """Appends events to a project's log and brings the read models up to them.

        The head row is locked until the commit, so that ``seq`` has no gap and a reader of the
        log misses nothing (docs/adr/0002): by `hold`, else here.

        Raises:
            ProjectNotFound: there is no such project, and the events do not make it.
            Moved: the project is not held, and what was read of it has changed since.
        """
        by = partial(
            unsealed,
            drafts,
            project_id=project_id,
            op_id=op_id,
            actor=actor,
            recorded_at=recorded_at,
        )
        if self._shortcuts is not None and is_addition(drafts):
            await self._projector.documents(rests_on(drafts))
            return await self._append_at_once(self._shortcuts, by(after_seq=PROVISIONAL), op_hash)
        await self.hold(project_id)
        head = self._held.pop(project_id)
        if head is None:
            if drafts[0].type is not EventType.PROJECT_CREATED:
                raise ProjectNotFound
            head = Head(0, genesis(project_id), "")
        events = seal(by(after_seq=head.seq), head.digest)
        await self._take(events, op_hash)
        self._held[project_id] = Head(events[-1].seq, events[-1].digest, head.epoch)
        return Appended(events[-1].seq)

    async def append_all(
        self, project_id: str, decided: Sequence[Decided], *, actor: str, recorded_at: str
    ) -> None:
        """Appends the events of several operations, in order, to a project that is held.

        Raises:
            ProjectNotFound: there is no such project.
        """
        await self.hold(project_id)
        head = self._held.pop(project_id)
        if head is None:
            raise ProjectNotFound
        events: list[Event] = []
        for op_id, drafts in decided:
            events += unsealed(
                drafts,
                project_id=project_id,
                after_seq=head.seq + len(events),
                op_id=op_id,
                actor=actor,
                recorded_at=recorded_at,
            )
        events = seal(events, head.digest)
        await self._take(events, None)
        self._held[project_id] = Head(events[-1].seq, events[-1].digest, head.epoch)

    async def _append_at_once(
        self, shortcuts: Shortcuts, events: Sequence[Event], op_hash: bytes | None
    ) -> Appended:
        """Appends what only adds: the head row is taken by the statement that writes it all."""
        project_id = events[0].project_id
        batch = batch_of(self._tenant_id, events, op_hash, self._projector.seen)
        is_held = self._held.pop(project_id, None) is not None
        place = await shortcuts.append(project_id, batch, is_held=is_held)
        if place is None:
            raise ProjectNotFound
        self._projector.see(batch.placed(place))
        return Appended(place.after_seq + len(events), batch.shown(place))

    async def _take(self, events: Sequence[Event], op_hash: bytes | None) -> None:
        """Writes events and their effects; a project's row comes before its first event."""
        if events[0].seq == 1:
            await self._projector.project(events[:1])
            await write_events(self._connection, self._tenant_id, events, op_hash)
            events = events[1:]
        else:
            await write_events(self._connection, self._tenant_id, events, op_hash)
        if events:
            await self._projector.project(events)

    async def project(self, events: Sequence[Event]) -> None:
        """Writes what ``events`` of the log do to the read models."""
        self._projector.forget()
        await self._projector.project(events)

    async def restore(self, events: Sequence[Event], epoch: str) -> None:
        """Takes over sealed events of a log, which must follow the project's head."""
        self._projector.forget()
        await self._take(events, None)
        await self._connection.execute(
            update(t.projects)
            .where(
                t.projects.c.tenant_id == self._tenant_id,
                t.projects.c.id == events[0].project_id,
            )
            .values(epoch=epoch)
        )

    async def clear_views(self, project_id: str) -> None:
        """Empties every read model of a project; its log and head stay."""
        self._projector.forget()
        patience = take_time(self._dialect)
        if patience is not None:
            await self._connection.execute(patience)
        for table in t.VIEW_TABLES:
            if table is t.session_tags or table is t.pattern_tags:
                owner = t.sessions if table is t.session_tags else t.patterns
                column = table.c.session_id if table is t.session_tags else table.c.pattern_id
                of_project: ColumnElement[bool] = column.in_(
                    select(owner.c.id).where(
                        owner.c.tenant_id == self._tenant_id, owner.c.project_id == project_id
                    )
                )
            else:
                of_project = table.c.project_id == project_id
            await self._connection.execute(
                delete(table).where(table.c.tenant_id == self._tenant_id, of_project)
            )

    async def recount_loads(self, project_id: str) -> None:
        """Sets the access counters of a project's sessions from what contexts loaded."""
        await recount_loads(self._connection, self._tenant_id, project_id)

    async def add_loads(self, loads: Sequence[ContextLoad]) -> None:
        """Keeps what a context pack gave out, and counts it on the sessions."""
        await add_loads(self._connection, self._tenant_id, loads)

    async def add_key(self, key: StoredKey) -> None:
        """Stores an API key."""
        await self._connection.execute(insert(t.api_keys).values(to_key_row(key)))

    async def revoke_key(self, key_id: str, at: str) -> bool:
        """Revokes a key; False if there is none. A key once revoked keeps its time."""
        table = t.api_keys
        named = (table.c.tenant_id == self._tenant_id) & (table.c.id == key_id)
        found = await self._connection.execute(select(table.c.id).where(named))
        if found.first() is None:
            return False
        await self._connection.execute(
            update(table).where(named, table.c.revoked_at.is_(None)).values(revoked_at=at)
        )
        return True

    async def end_key(self, key_id: str, at: str) -> StoredKey | None:
        """Lets a key end at ``at`` unless it ends earlier; returns it as it was before."""
        return await end_key(self._connection, self._tenant_id, key_id, at, self._dialect)

    async def touch_key(self, key_id: str, at: str) -> None:
        """Notes that a key was used."""
        table = t.api_keys
        await self._connection.execute(
            update(table)
            .where(table.c.tenant_id == self._tenant_id, table.c.id == key_id)
            .values(last_used_at=at)
        )

    async def add_tenant(self, name: str, at: str) -> None:
        """Makes the tenant's row if it is not there."""
        found = await self._connection.execute(
            select(t.tenants.c.id).where(t.tenants.c.id == self._tenant_id)
        )
        if found.first() is None:
            row = {"id": self._tenant_id, "name": name, "created_at": at}
            await self._connection.execute(insert(t.tenants).values(row))

    async def commit(self) -> None:
        """Makes everything durable as one.

        Raises:
            StorageFull: the disk is full; nothing was changed.
        """
        with translating():
            if self._shortcuts is not None:
                await self._shortcuts.commit()
            else:
                await self._connection.commit()
        self._committed()


def _found(project_id: str | None, named: str | Ref) -> str:
    if project_id is not None:
        return project_id
    if isinstance(named, str):
        raise ProjectNotFound(f"there is no project {named!r}")
    raise NotFound(f"there is no {named.kind.value} {named.id}")
