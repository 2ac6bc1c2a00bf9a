"""API keys as rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.dialect import Dialect, lock_row
from context_api.application.ports import StoredKey
from memory_core.clock import parse_time
from memory_core.errors import ContextError

LONG_AGO = "0001-01-01T00:00:00.000000Z"


def to_key(row: RowMapping) -> StoredKey:
    """Returns the key of a row."""
    granted = row["project_ids"]
    return StoredKey(
        tenant_id=row["tenant_id"],
        id=row["id"],
        name=row["name"],
        owner=row["owner"],
        secret_hash=row["secret_hash"],
        scopes=_texts(row["scopes"]),
        project_ids=None if granted is None else _texts(granted),
        created_at=row["created_at"],
        expires_at=_time(row["expires_at"]),
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )


def _texts(value: object) -> tuple[str, ...]:
    """Returns a list of texts; whatever else a damaged row holds grants nothing."""
    if not isinstance(value, list):
        return ()
    return tuple(one for one in value if isinstance(one, str))


def _time(value: str | None) -> str | None:
    """Returns a time; one that cannot be read has passed."""
    try:
        return None if value is None else parse_time(value)
    except ContextError:
        return LONG_AGO


def to_key_row(key: StoredKey) -> dict[str, Any]:
    """Returns the row of a key."""
    return {
        "tenant_id": key.tenant_id,
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "secret_hash": key.secret_hash,
        "scopes": [*key.scopes],
        "project_ids": None if key.project_ids is None else [*key.project_ids],
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


async def end_key(
    connection: AsyncConnection, tenant_id: str, key_id: str, at: str, dialect: Dialect
) -> StoredKey | None:
    """Lets a key end at ``at`` unless it ends earlier; returns it as it was before.

    Its row stays locked until the commit, so that nobody revokes a key while it is replaced.
    """
    table = t.api_keys
    named = (table.c.tenant_id == tenant_id) & (table.c.id == key_id)
    rows = await connection.execute(lock_row(dialect, select(table).where(named)))
    row = rows.mappings().first()
    if row is None:
        return None
    key = to_key(row)
    if key.expires_at is None or key.expires_at > at:
        await connection.execute(update(table).where(named).values(expires_at=at))
    return key
