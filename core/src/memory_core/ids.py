"""Identifiers: UUIDv7 (RFC 9562), made by whoever creates a record."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from datetime import UTC, datetime

from memory_core.clock import from_datetime, to_datetime
from memory_core.errors import InvalidId

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_MASK = (1 << 80) - 1
_FIELDS_MASK = (0xF << 76) | (0b11 << 62)
_MAX_MILLISECONDS = (1 << 48) - 1


def _compose(milliseconds: int, random_bits: int) -> str:
    low = (random_bits & _RANDOM_MASK & ~_FIELDS_MASK) | _VERSION_7 | _VARIANT
    return str(uuid.UUID(int=(milliseconds << 80) | low))


def uuid7() -> str:
    """Returns a new random UUIDv7."""
    return _compose(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big"))


def derive_id(at: str, *parts: str) -> str:
    """Returns the UUIDv7 that belongs to ``parts``: the same input gives the same id.

    The time bits are ``at``; the random bits are the SHA-256 of the parts, each preceded by
    its length so that ``("ab", "c")`` and ``("a", "bc")`` differ.

    Raises:
        InvalidTime: ``at`` is not RFC 3339 with a zone.
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    milliseconds = int(to_datetime(at).timestamp() * 1000)
    clamped = min(max(milliseconds, 0), _MAX_MILLISECONDS)
    return _compose(clamped, int.from_bytes(digest.digest()[:10], "big"))


def time_of(identity: str) -> str:
    """Returns the time that a UUIDv7 carries, to the millisecond, as a canonical time."""
    milliseconds = uuid.UUID(identity).int >> 80
    return from_datetime(datetime.fromtimestamp(milliseconds / 1000, UTC))


def parse_uuid(text: str) -> str:
    """Returns the canonical lower-case form of a UUID of any version.

    Raises:
        InvalidId: the text is not a UUID in its usual 36-character form.
    """
    try:
        value = uuid.UUID(text)
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidId("not a UUID") from error
    if len(text) != 36:
        raise InvalidId("not a UUID in its 36-character form")
    return str(value)
