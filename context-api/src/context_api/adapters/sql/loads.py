"""What context packs gave out, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql import tables as t
from context_api.application.ports import ContextLoad
from memory_core.records import Kind

_FIELDS = tuple(field.name for field in fields(ContextLoad))


def to_load(row: RowMapping) -> ContextLoad:
    """Returns the item of a row."""
    return ContextLoad(**{name: row[name] for name in _FIELDS})


def to_load_row(tenant_id: str, load: ContextLoad) -> dict[str, Any]:
    """Returns the row of an item."""
    return {"tenant_id": tenant_id, **asdict(load)}


async def recount_loads(connection: AsyncConnection, tenant_id: str, project_id: str) -> None:
    """Sets the access counters of a project's sessions from what contexts loaded."""
    loads, sessions = t.context_loads, t.sessions
    of_session = (
        (loads.c.tenant_id == sessions.c.tenant_id)
        & (loads.c.record_id == sessions.c.id)
        & (loads.c.kind == Kind.SESSION.value)
    )
    await connection.execute(
        update(sessions)
        .where(sessions.c.tenant_id == tenant_id, sessions.c.project_id == project_id)
        .values(
            access_count=select(func.count()).where(of_session).scalar_subquery(),
            last_accessed=select(func.max(loads.c.loaded_at)).where(of_session).scalar_subquery(),
        )
    )


async def add_loads(
    connection: AsyncConnection, tenant_id: str, loads: Sequence[ContextLoad]
) -> None:
    """Keeps what a context pack gave out, and counts it on the sessions."""
    loads = await _new_loads(connection, tenant_id, loads)
    if not loads:
        return
    rows = [to_load_row(tenant_id, load) for load in loads]
    await connection.execute(insert(t.context_loads), rows)
    sessions = t.sessions
    # Always in one order, so that two packs of the same sessions do not wait for each other.
    for load in sorted(loads, key=lambda load: load.record_id):
        if load.kind != Kind.SESSION.value:
            continue
        await connection.execute(
            update(sessions)
            .where(sessions.c.tenant_id == tenant_id, sessions.c.id == load.record_id)
            .values(access_count=sessions.c.access_count + 1, last_accessed=load.loaded_at)
        )


async def _new_loads(
    connection: AsyncConnection, tenant_id: str, loads: Sequence[ContextLoad]
) -> list[ContextLoad]:
    table = t.context_loads
    rows = await connection.execute(
        select(table.c.recall_id, table.c.position).where(
            table.c.tenant_id == tenant_id,
            table.c.recall_id.in_({load.recall_id for load in loads}),
        )
    )
    kept = {(row.recall_id, row.position) for row in rows}
    return [load for load in loads if (load.recall_id, load.position) not in kept]
