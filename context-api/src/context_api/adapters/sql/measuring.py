"""Figures of a tenant that are read often: who it is, where its logs stand, how old work is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql import tables as t
from context_api.application.ports import Tenant

# Each position is one condition of the statement, and databases bound their number.
_POSITIONS = 200


async def read_tenant(connection: AsyncConnection, tenant_id: str) -> Tenant | None:
    """Returns a tenant by its id."""
    rows = await connection.execute(select(t.tenants).where(t.tenants.c.id == tenant_id))
    row = rows.mappings().first()
    if row is None:
        return None
    return Tenant(id=row["id"], name=row["name"], created_at=row["created_at"])


async def read_heads(
    connection: AsyncConnection, tenant_id: str, project_ids: Sequence[str] | None = None
) -> dict[str, int]:
    """Returns the head of every project of a tenant, or of those named, by its id."""
    statement = select(t.projects.c.id, t.projects.c.head).where(
        t.projects.c.tenant_id == tenant_id
    )
    if project_ids is not None:
        statement = statement.where(t.projects.c.id.in_(project_ids))
    rows = await connection.execute(statement)
    return {row.id: row.head for row in rows}


async def read_oldest(
    connection: AsyncConnection, tenant_id: str, positions: Mapping[str, int]
) -> str | None:
    """Returns the earliest time at which any event at ``positions`` (seq by project) was recorded.

    Each is one look at the primary key.
    """
    log = t.events
    found: list[str] = []
    left = [
        and_(log.c.project_id == project, log.c.seq == seq) for project, seq in positions.items()
    ]
    while left:
        places, left = left[:_POSITIONS], left[_POSITIONS:]
        rows = await connection.execute(
            select(func.min(log.c.recorded_at)).where(log.c.tenant_id == tenant_id, or_(*places))
        )
        earliest = rows.scalar()
        if earliest is not None:
            found.append(earliest)
    return min(found, default=None)
