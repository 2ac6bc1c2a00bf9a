"""Answers that are read piece by piece: lines, and server-sent events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sync_agent.errors import BrokenAnswer

MAX_LINE_BYTES = 64 * 1024 * 1024


def lines(pieces: Iterable[bytes], limit: int = MAX_LINE_BYTES) -> Iterator[bytes]:
    """Yields the lines of a stream with their line ends; the last one may have none.

    Raises:
        BrokenAnswer: a line is longer than ``limit`` bytes.
    """
    waiting: list[bytes] = []
    held = 0
    for piece in pieces:
        first, *rest = piece.split(b"\n")
        waiting.append(first)
        held += len(first)
        if held > limit:
            raise BrokenAnswer(f"a line of the answer is longer than {limit} bytes")
        for part in rest:
            yield b"".join(waiting) + b"\n"
            waiting = [part]
            held = len(part)
    if held:
        yield b"".join(waiting)


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event."""

    id: str
    event: str
    data: str


def server_events(pieces: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Yields the events of a ``text/event-stream``; an event without its end is left out."""
    last_id, kind = "", "message"
    data: list[str] = []
    for raw in lines(pieces):
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            if data:
                yield ServerEvent(last_id, kind, "\n".join(data))
            kind, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "id":
                last_id = value
            case "event":
                kind = value
            case "data":
                data.append(value)
