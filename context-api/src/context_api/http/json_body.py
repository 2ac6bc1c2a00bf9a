"""Reads JSON bodies within bounds that hold before anything is built from them."""

from __future__ import annotations

import re

import orjson
from pydantic import JsonValue

from memory_core.errors import InvalidJson

MAX_DEPTH = 64
MAX_VALUES = 500_000

# A text that is never closed ends with the body, so that no input is scanned twice.
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)', re.DOTALL)
_ALL_BUT_STRUCTURE = bytes(set(range(256)) - set(b"[]{},"))
_SIGNS = bytes.maketrans(b"[{]}", b"\1\1\0\0")


def parse_json(body: bytes) -> JsonValue:
    """Returns the value that ``body`` holds. Of repeated keys the last one counts.

    A value takes up to 64 bytes of memory for each byte that opens or separates it, so their
    number is bounded before parsing.

    Raises:
        InvalidJson: not UTF-8, not RFC 8259 (NaN, lone surrogates, numbers beyond a double),
            nested deeper than 64 levels or more than 500,000 values.
    """
    structure = _structure(body)
    if len(structure) > MAX_VALUES or _depth(structure) > MAX_DEPTH:
        raise InvalidJson(
            f"JSON is nested deeper than {MAX_DEPTH} levels or holds more than {MAX_VALUES} values"
        )
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"the body is not JSON: {error.msg} at byte {error.pos}") from error
    return value


def _structure(body: bytes) -> bytes:
    """Returns the brackets, braces and commas that stand outside of texts.

    Below the bounds even when those inside texts are counted, nothing has to be told apart.
    """
    rough = body.translate(None, _ALL_BUT_STRUCTURE)
    if len(rough) <= MAX_DEPTH:
        return rough
    return _TEXT.sub(b"", body).translate(None, _ALL_BUT_STRUCTURE)


def _depth(structure: bytes) -> int:
    """Returns the deepest nesting; past the limit, where it was passed."""
    depth = deepest = 0
    for sign in structure.translate(_SIGNS, b","):
        depth += 1 if sign else -1
        if depth > deepest:
            deepest = depth
            if deepest > MAX_DEPTH:
                break
    return deepest
