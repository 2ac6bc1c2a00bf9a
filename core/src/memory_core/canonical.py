"""Canonical JSON and digests: one byte form for one value, on every machine."""

from __future__ import annotations

import hashlib
import json
import math

from pydantic import JsonValue

from memory_core.errors import InvalidInput, InvalidText

MAX_DEPTH = 32
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: JsonValue) -> bytes:
    """Returns the UTF-8 bytes of ``value``: keys sorted, no spaces, no NaN, no lone surrogate.

    Raises:
        InvalidInput: a number is not finite, or the nesting is too deep.
        InvalidText: a text holds a lone surrogate.
    """
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError as error:
        raise InvalidText("a text holds a lone surrogate") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput("a number is not finite, or the nesting is too deep") from error


def digest(*parts: bytes) -> bytes:
    """Returns the SHA-256 of the parts, each preceded by its length (32 bytes)."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def check_text(text: str) -> str:
    """Returns ``text`` if every store can hold it.

    Raises:
        InvalidText: it holds NUL or a lone surrogate (PostgreSQL and UTF-8 have neither).
    """
    if "\x00" in text:
        raise InvalidText("a text holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidText("a text holds a lone surrogate") from error
    return text


def check_json(value: JsonValue, depth: int = MAX_DEPTH) -> JsonValue:
    """Returns ``value`` if it can be stored: texts as in `check_text`, nesting below ``depth``.

    A negative zero in it becomes zero, in place: not every store knows the difference.

    Raises:
        InvalidText: a key or text cannot be stored.
        InvalidInput: the nesting is too deep.
    """
    if isinstance(value, str):
        return check_text(value)
    if isinstance(value, dict | list):
        if depth == 0:
            raise InvalidInput(f"JSON is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            for key, item in value.items():
                check_text(key)
                value[key] = check_json(item, depth - 1)
        else:
            for place, item in enumerate(value):
                value[place] = check_json(item, depth - 1)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInput("an integer does not fit 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput("a number is not finite")
        return value + 0.0
    return value


def clean_text(text: str) -> str:
    """Returns ``text`` with what no store can hold replaced by U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
