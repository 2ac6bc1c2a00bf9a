"""Times as the project writes them: RFC 3339, UTC, microseconds, fixed width.

A time is a string such as ``2026-11-21T12:45:38.123456Z``. The fixed width makes the text
order the time order, so stores, digests and JSON all hold the same value.
"""

from __future__ import annotations

from datetime import UTC, datetime

from memory_core.errors import InvalidTime

EPOCH = "1970-01-01T00:00:00.000000Z"


def now() -> str:
    """Returns the current time."""
    return from_datetime(datetime.now(UTC))


def from_datetime(value: datetime) -> str:
    """Returns the canonical text of an aware datetime.

    Raises:
        InvalidTime: the datetime is naive, or out of range once moved to UTC.
    """
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidTime("a time needs a zone, for example 2026-11-21T12:45:38Z")
    try:
        moved = value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidTime("the time is out of range") from error
    return moved.isoformat(timespec="microseconds")[:26] + "Z"


def to_datetime(text: str) -> datetime:
    """Returns the aware UTC datetime of an RFC 3339 text.

    Raises:
        InvalidTime: the text is not RFC 3339 or carries no zone.
    """
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidTime("not an RFC 3339 time") from error
    if value.tzinfo is None:
        raise InvalidTime("a time needs a zone, for example 2026-11-21T12:45:38Z")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidTime("the time is out of range") from error


def parse_time(text: str) -> str:
    """Returns the canonical form of an RFC 3339 time.

    Raises:
        InvalidTime: the text is not RFC 3339 or carries no zone.
    """
    return from_datetime(to_datetime(text))
