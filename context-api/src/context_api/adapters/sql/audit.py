"""The audit log in SQL: entries are added and read, never changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.dialect import Dialect, seals_audit
from context_api.domain.audit import Entry, sealed

_PAGE = 500


class AuditReader:
    """Reads the audit log of one tenant."""

    def __init__(self, connection: AsyncConnection, tenant_id: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def newest(self, *, before: int | None, act: str | None, limit: int) -> list[Entry]:
        """Returns up to ``limit`` entries whose seq is smaller than ``before``, newest first."""
        table = t.audit_log
        conditions: list[Any] = [table.c.tenant_id == self._tenant_id]
        if before is not None:
            conditions.append(table.c.seq < before)
        if act is not None:
            conditions.append(table.c.act == act)
        rows = await self._connection.execute(
            select(table).where(*conditions).order_by(table.c.seq.desc()).limit(limit)
        )
        return [_to_entry(row) for row in rows.mappings()]

    async def chain(self) -> AsyncIterator[Entry]:
        """Yields every entry, in order."""
        table, after = t.audit_log, 0
        while True:
            rows = await self._connection.execute(
                select(table)
                .where(table.c.tenant_id == self._tenant_id, table.c.seq > after)
                .order_by(table.c.seq)
                .limit(_PAGE)
            )
            found = [_to_entry(row) for row in rows.mappings()]
            for entry in found:
                yield entry
            if len(found) < _PAGE:
                return
            after = found[-1].seq


class AuditWriter:
    """Adds to the audit log of one tenant, in the transaction of what is told."""

    def __init__(self, connection: AsyncConnection, tenant_id: str, dialect: Dialect) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._dialect = dialect

    async def add(self, entry: Entry) -> None:
        """Adds an entry at the end of the chain; others of the tenant wait until the commit."""
        row = {
            "tenant_id": self._tenant_id, "at": entry.at, "key_id": entry.key_id,
            "actor": entry.actor, "act": entry.act, "target": entry.target,
            "detail": entry.detail,
        }  # fmt: skip
        if seals_audit(self._dialect):
            # In the same round trip the database gives it its place and seals it.
            place: dict[str, Any] = {"seq": 1, "digest": entry.content_digest}
        else:
            last = sealed(entry, await self._last())
            place = {"seq": last.seq, "digest": last.digest}
        await self._connection.execute(insert(t.audit_log).values(**row, **place))

    async def _last(self) -> tuple[int, bytes] | None:
        table = t.audit_log
        rows = await self._connection.execute(
            select(table.c.seq, table.c.digest)
            .where(table.c.tenant_id == self._tenant_id)
            .order_by(table.c.seq.desc())
            .limit(1)
        )
        row = rows.first()
        return None if row is None else (row.seq, row.digest)


def _to_entry(row: RowMapping) -> Entry:
    return Entry(
        tenant_id=row["tenant_id"],
        at=row["at"],
        key_id=row["key_id"],
        actor=row["actor"],
        act=row["act"],
        target=row["target"],
        detail=row["detail"],
        seq=row["seq"],
        digest=row["digest"],
    )
