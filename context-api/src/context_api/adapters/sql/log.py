"""The append-only log in SQL: appending under the project's head, reading in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.dialect import Dialect, lock_row
from context_api.adapters.sql.rows import event_row, length_of, to_event
from context_api.application.ports import Change, Head, StoredOperation
from memory_core.events import Event
from memory_core.records import Kind

_EVENT_COLUMNS = [column for column in t.events.columns if column.name != "tenant_id"]


class LogReader:
    """Reads the logs of one tenant."""

    def __init__(self, connection: AsyncConnection, tenant_id: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def head(self, project_id: str) -> Head | None:
        """Returns where a project's log stands, or None if there is no such project."""
        return await read_head(self._connection, self._tenant_id, project_id)

    async def page(self, project_id: str, after: int, limit: int) -> list[Event]:
        """Returns up to ``limit`` events whose seq is greater than ``after``, in order."""
        rows = await self._connection.execute(
            select(*_EVENT_COLUMNS)
            .where(*self._of(project_id), t.events.c.seq > after)
            .order_by(t.events.c.seq)
            .limit(limit)
        )
        return [to_event(row) for row in rows.mappings()]

    async def lengths(self, project_id: str, after: int, limit: int) -> list[int]:
        """Returns how many characters of content each event of `page` has."""
        rows = await self._connection.execute(
            select(length_of(t.events.c.content))
            .where(*self._of(project_id), t.events.c.seq > after)
            .order_by(t.events.c.seq)
            .limit(limit)
        )
        return list(rows.scalars())

    async def digests(
        self, project_id: str, low: int, high: int, size: int = 10_000
    ) -> AsyncIterator[list[bytes]]:
        """Yields the digests of the events ``low`` to ``high`` in order, ``size`` at a time."""
        log = t.events
        while low <= high:
            rows = await self._connection.execute(
                select(log.c.seq, log.c.digest)
                .where(*self._of(project_id), log.c.seq.between(low, high))
                .order_by(log.c.seq)
                .limit(size)
            )
            found = rows.all()
            if not found:
                return
            yield [digest for _, digest in found]
            low = found[-1][0] + 1

    async def at(self, project_id: str, seqs: Sequence[int]) -> list[Event]:
        """Returns the events at some positions, in order."""
        log = t.events
        rows = await self._connection.execute(
            select(*_EVENT_COLUMNS)
            .where(*self._of(project_id), log.c.seq.in_(seqs))
            .order_by(log.c.seq)
        )
        return [to_event(row) for row in rows.mappings()]

    async def lengths_at(self, project_id: str, seqs: Sequence[int]) -> list[tuple[int, int]]:
        """Returns position and characters of content of the events of `at`."""
        log = t.events
        rows = await self._connection.execute(
            select(log.c.seq, length_of(log.c.content))
            .where(*self._of(project_id), log.c.seq.in_(seqs))
            .order_by(log.c.seq)
        )
        return [(seq, length) for seq, length in rows]

    async def pages(
        self, project_id: str, after: int = 0, size: int = 500
    ) -> AsyncIterator[list[Event]]:
        """Yields the log after ``after`` page by page."""
        while page := await self.page(project_id, after, size):
            yield page
            after = page[-1].seq

    async def of_record(
        self, record_id: str, upto: int | None = None, *, own_only: bool = False
    ) -> list[Event]:
        """Returns one record's events in order; without ``own_only`` also those of its parts."""
        log = t.events
        about: Any = log.c.record_id == record_id
        if not own_only:
            about |= log.c.parent_id == record_id
        conditions = [log.c.tenant_id == self._tenant_id, about]
        if upto is not None:
            conditions.append(log.c.seq <= upto)
        rows = await self._connection.execute(
            select(*_EVENT_COLUMNS).where(*conditions).order_by(log.c.seq)
        )
        return [to_event(row) for row in rows.mappings()]

    async def operation(self, op_id: str) -> StoredOperation | None:
        """Returns what an operation wrote, or None if it is not in the log."""
        log = t.events
        rows = await self._connection.execute(
            select(log.c.project_id, log.c.seq, log.c.kind, log.c.record_id, log.c.op_hash)
            .where(log.c.tenant_id == self._tenant_id, log.c.op_id == op_id)
            .order_by(log.c.op_index)
        )
        found = list(rows.mappings())
        if not found:
            return None
        return StoredOperation(
            project_id=found[0]["project_id"],
            first_seq=found[0]["seq"],
            last_seq=found[-1]["seq"],
            op_hash=found[0]["op_hash"],
        )

    async def known(self, op_ids: Sequence[str]) -> frozenset[str]:
        """Returns those operations that left something in any log."""
        log = t.events
        rows = await self._connection.execute(
            select(log.c.op_id)
            .where(log.c.tenant_id == self._tenant_id, log.c.op_id.in_(op_ids))
            .distinct()
        )
        return frozenset(rows.scalars())

    async def changes(self, project_id: str, after: int, limit: int) -> list[Change]:
        """Returns what changed after ``after``, in order."""
        log = t.events
        rows = await self._connection.execute(
            select(log.c.seq, log.c.kind, log.c.record_id, log.c.parent_id, log.c.type)
            .where(*self._of(project_id), log.c.seq > after)
            .order_by(log.c.seq)
            .limit(limit)
        )
        return [
            Change(row.seq, Kind(row.kind), row.record_id, row.parent_id, row.type) for row in rows
        ]

    def _of(self, project_id: str) -> tuple[Any, Any]:
        return (t.events.c.tenant_id == self._tenant_id, t.events.c.project_id == project_id)


async def read_head(
    connection: AsyncConnection, tenant_id: str, project_id: str, dialect: Dialect | None = None
) -> Head | None:
    """Returns a project's head; with ``dialect`` the row stays locked until the commit."""
    table = t.projects
    statement: Any = select(table.c.head, table.c.head_digest, table.c.epoch).where(
        table.c.tenant_id == tenant_id, table.c.id == project_id
    )
    if dialect is not None:
        statement = lock_row(dialect, statement)
    row = (await connection.execute(statement)).first()
    return None if row is None else Head(seq=row.head, digest=row.head_digest, epoch=row.epoch)


async def write_events(
    connection: AsyncConnection,
    tenant_id: str,
    events: Sequence[Event],
    op_hash: bytes | None = None,
) -> None:
    """Writes sealed events of one project and sets its head to the last of them."""
    rows = [event_row(tenant_id, event, op_hash) for event in events]
    await connection.execute(insert(t.events), rows)
    last = events[-1]
    await connection.execute(
        update(t.projects)
        .where(t.projects.c.tenant_id == tenant_id, t.projects.c.id == last.project_id)
        .values(head=last.seq, head_digest=last.digest)
    )
