"""Column types of the revisions, fixed here so that a revision never depends on the models."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine


def uuid() -> TypeEngine[Any]:
    """Returns the type of an id."""
    return sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")


def utc_time() -> TypeEngine[Any]:
    """Returns the type of a time: fixed-width text, or a timestamp with zone."""
    return sa.CHAR(27).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def json() -> TypeEngine[Any]:
    """Returns the type of a JSON value."""
    return sa.Text().with_variant(postgresql.JSONB(), "postgresql")


def canonical_json() -> TypeEngine[Any]:
    """Returns the type of a JSON value whose bytes must not change."""
    return sa.Text()
