"""What context packs gave out, as rows."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import RowMapping

from context_api.application.ports import ContextLoad

_FIELDS = tuple(field.name for field in fields(ContextLoad))


def to_load(row: RowMapping) -> ContextLoad:
    """Returns the item of a row."""
    return ContextLoad(**{name: row[name] for name in _FIELDS})


def to_load_row(tenant_id: str, load: ContextLoad) -> dict[str, Any]:
    """Returns the row of an item."""
    return {"tenant_id": tenant_id, **asdict(load)}
