"""JSON lines, one at a time, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from memory_core.errors import UnreadableTranscript

# A line holds one turn; the largest honest ones carry several base64 images.
MAX_LINE_BYTES = 32 * 1024 * 1024
_CHUNK = 1024 * 1024

Record: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a JSON object."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """A JSON object and the number of its line, counted from 1."""

    number: int
    record: Record


def read_lines(path: Path, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Line | BadLine]:
    """Yields every line of a JSONL file; blank lines are passed over.

    A last line without a line end that does not parse is one still being written, and is
    passed over too. A line above ``max_line_bytes`` is skipped without being held.

    Raises:
        UnreadableTranscript: the file cannot be opened or read.
    """
    try:
        with path.open("rb", buffering=_CHUNK) as stream:
            yield from _lines(stream, max_line_bytes)
    except OSError as error:
        raise UnreadableTranscript(f"{path}: {error.strerror or error}") from error


def _lines(stream: BinaryIO, limit: int) -> Iterator[Line | BadLine]:
    number = 0
    while raw := stream.readline(limit + 1):
        number += 1
        complete = raw.endswith(b"\n")
        if len(raw) > limit and not complete:
            _skip_line(stream)
            yield BadLine(number, f"the line is longer than {limit:,} bytes")
            continue
        parsed = parse_line(raw)
        if isinstance(parsed, str):
            if complete:
                yield BadLine(number, parsed)
        elif parsed is not None:
            yield Line(number, parsed)


def _skip_line(stream: BinaryIO) -> None:
    while chunk := stream.readline(_CHUNK):
        if chunk.endswith(b"\n"):
            return


def parse_line(raw: bytes) -> Record | str | None:
    """Returns the object of a line, the reason why there is none, or None for a blank line."""
    if not raw or raw.isspace():
        return None
    text = raw.decode("utf-8", "replace").lstrip("\ufeff")
    try:
        value = json.loads(text)
    except RecursionError:
        return "the JSON is nested too deeply"
    except ValueError as error:
        return f"not JSON: {error.args[0] if error.args else error}"[:200]
    if not isinstance(value, dict):
        return "not a JSON object"
    return value


def text_of(record: Record, key: str) -> str | None:
    """Returns a non-empty string field, else None."""
    value = record.get(key)
    return value if isinstance(value, str) and value else None


def record_of(record: Record, key: str) -> Record:
    """Returns an object field, else an empty one."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def list_of(record: Record, key: str) -> list[object]:
    """Returns a list field, else an empty one."""
    value = record.get(key)
    return value if isinstance(value, list) else []
