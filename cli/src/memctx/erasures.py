"""A list of what was erased, so that an older backup does not bring it back.

JSON lines: ``memory_context_erasures`` with the version, one ``erased`` for each record, and
``end`` with their number, so that a list that was cut is recognised. It holds ids and no text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from memory_core.errors import Corrupt
from sync_agent.errors import LocalFailure
from sync_agent.streams import lines

if TYPE_CHECKING:
    from pydantic import JsonValue

FORMAT = "memory_context_erasures"
VERSION = 1


def write(file: BinaryIO, at: str, exports: Iterable[Iterable[bytes]]) -> int:
    """Writes the list of what is erased in whole exports; returns how many records that are."""
    file.write(_line({FORMAT: {"version": VERSION, "exported_at": at}}))
    count = 0
    for export in exports:
        for found in _erased(export):
            file.write(_line({"erased": found}))
            count += 1
    file.write(_line({"end": {"erased": count}}))
    return count


def _erased(pieces: Iterable[bytes]) -> Iterator[dict[str, JsonValue]]:
    ended = False
    for line in lines(pieces):
        ended = line.startswith(b'{"end":')
        # Few of many lines are parsed; a text that only looks like an erasure is none.
        if not line.startswith(b'{"event":') or b'.erased"' not in line:
            continue
        event = json.loads(line)["event"]
        if event["type"].endswith(".erased"):
            yield {
                "project": event["project_id"],
                "kind": event["kind"],
                "id": event["record_id"],
                "at": event["recorded_at"],
            }
    if not ended:
        raise Corrupt("the hub's answer ended before it was complete; nothing was kept")


def read(path: Path) -> list[bytes]:
    """Returns the lines of a list that a restore sends to the hub.

    Raises:
        Corrupt: it is no such list, or it was cut.
    """
    try:
        found = [json.loads(line) for line in path.read_bytes().splitlines()]
        first, *erased, end = found
        if first[FORMAT]["version"] != VERSION:
            raise Corrupt(f"{path} was made by another release; use that one")
        kept = [{name: one["erased"][name] for name in ("project", "kind", "id")} for one in erased]
        if end["end"]["erased"] != len(kept):
            raise Corrupt(f"{path} is not whole")
    except OSError as error:
        raise LocalFailure(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(f"{path} is no list of erasures, or it was cut") from error
    return [_line({"erased": one}) for one in kept]


def before_projects(pieces: Iterable[bytes], erased: Iterable[bytes]) -> Iterator[bytes]:
    """Yields an export with the lines of a list behind its first one."""
    coming = iter(pieces)
    head = b""
    for piece in coming:
        head += piece
        if b"\n" in head:
            break
    first, _, rest = head.partition(b"\n")
    yield first + b"\n"
    yield from erased
    yield rest
    yield from coming


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
