"""Portable column types: the same Python values whatever the database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

from pydantic import JsonValue
from sqlalchemy import CHAR, TIMESTAMP, UUID, Dialect, LargeBinary, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from memory_core.canonical import canonical_json
from memory_core.clock import from_datetime, to_datetime


def from_moment(value: datetime) -> str:
    """Returns the canonical text of a time as a driver gives it."""
    # The first and the last moment of all are kept as infinities, without a zone.
    return from_datetime(value if value.tzinfo else value.replace(tzinfo=UTC))


class UtcTime(TypeDecorator[str]):
    """A canonical time text; a timestamp with zone where the database has one."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Chooses the column type of the dialect."""
        if _has_rich_types(dialect):
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(CHAR(27))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> datetime | str | None:
        """Sends a datetime where the database keeps one."""
        if value is None or not _has_rich_types(dialect):
            return value
        return to_datetime(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Returns the canonical text."""
        if not isinstance(value, datetime):
            return cast("str | None", value)
        return from_moment(value)


class Uuid(TypeDecorator[str]):
    """A UUID as lower-case text."""

    impl = CHAR(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Chooses the column type of the dialect."""
        if _has_rich_types(dialect):
            return dialect.type_descriptor(UUID(as_uuid=False))
        return dialect.type_descriptor(CHAR(36))


class Json(TypeDecorator[JsonValue]):
    """A JSON value; binary and indexable where the database offers that."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Chooses the column type of the dialect."""
        if _has_rich_types(dialect):
            # Imported with its drivers, which a hub on SQLite need not wait for.
            from sqlalchemy.dialects.postgresql import JSONB  # noqa: PLC0415

            # No value is NULL here as elsewhere, not the JSON null.
            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> Any:
        """Writes canonical JSON, or hands the value to a database that has JSON."""
        if value is None or _has_rich_types(dialect):
            return value
        return canonical_json(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> JsonValue:
        """Returns the value; a database that has JSON hands it over, and it may be a text."""
        if value is None or _has_rich_types(dialect):
            return cast("JsonValue", value)
        return cast("JsonValue", json.loads(value))


class CanonicalJson(TypeDecorator[JsonValue]):
    """A JSON value kept as its canonical text, byte for byte, so that digests still match."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: JsonValue, dialect: Dialect) -> str | None:
        """Writes canonical JSON."""
        return None if value is None else canonical_json(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> JsonValue:
        """Returns the value."""
        return None if value is None else cast("JsonValue", json.loads(value))


Digest = LargeBinary


def _has_rich_types(dialect: Dialect) -> bool:
    """Says whether the database has JSON, UUID and zoned time types of its own."""
    return bool(getattr(dialect, "supports_native_uuid", False))
