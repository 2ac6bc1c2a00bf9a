"""A line to a PostgreSQL server that is slow, or breaks at the COMMIT of a transaction.

Its driver sends a COMMIT as a message of its own and waits for the answer, so the moment between
the two can be met exactly. What happens at which COMMIT is drawn from a seeded generator.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

COMMIT = b"Q\0\0\0\x0bCOMMIT\0"
COMMITTED = b"C\0\0\0\x0bCOMMIT\0"
CHUNK = 65_536


class Break(StrEnum):
    """Where the line breaks at a COMMIT."""

    UNSENT = "before the server has it"
    SENT = "as soon as the server has it"
    UNANSWERED = "when the server has done it and answers"


@dataclass
class Line:
    """What happens to COMMITs from now on, and what has happened.

    ``share`` of them break the line; the others are held up by at most ``delay_s`` seconds.
    """

    port: int
    chance: random.Random
    share: float = 0.0
    delay_s: float = 0.0
    passed: int = 0
    broken: Counter[Break] = field(default_factory=Counter)

    def next_break(self) -> Break | None:
        """Draws what happens to a COMMIT."""
        if self.chance.random() >= self.share:
            self.passed += 1
            return None
        kind = self.chance.choice(list(Break))
        self.broken[kind] += 1
        return kind


class Broken(Exception):
    """The line breaks here."""


class _Link:
    """One connection from a client to the server."""

    def __init__(self, line: Line, client: asyncio.StreamWriter, server: asyncio.StreamWriter):
        self._line, self._client, self._server = line, client, server
        self._breaks_at_answer = False

    async def up(self, reader: asyncio.StreamReader) -> None:
        """Passes on what the client sends."""
        while data := await reader.read(CHUNK):
            kind = None
            if data.endswith(COMMIT):
                kind = self._line.next_break()
                await asyncio.sleep(self._line.chance.uniform(0, self._line.delay_s))
            if kind is Break.UNSENT:
                raise Broken
            self._breaks_at_answer = kind is Break.UNANSWERED
            self._server.write(data)
            await self._server.drain()
            if kind is Break.SENT:
                raise Broken

    async def down(self, reader: asyncio.StreamReader) -> None:
        """Passes on what the server answers."""
        while data := await reader.read(CHUNK):
            if self._breaks_at_answer and COMMITTED in data:
                raise Broken
            self._client.write(data)
            await self._client.drain()


async def _carry(line: Line, target: int, reader: asyncio.StreamReader, client: object) -> None:
    assert isinstance(client, asyncio.StreamWriter)
    try:
        from_server, server = await asyncio.open_connection("127.0.0.1", target)
    except OSError:
        client.transport.abort()
        return
    link = _Link(line, client, server)
    ways = {asyncio.create_task(link.up(reader)), asyncio.create_task(link.down(from_server))}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        # What was written to the server still reaches it; the client is cut off.
        server.close()
        client.transport.abort()
        with suppress(OSError):
            await server.wait_closed()


class _Thread(threading.Thread):
    def __init__(self, target: int, seed: int) -> None:
        super().__init__(name="line", daemon=True)
        self.line = Line(0, random.Random(seed))
        self.is_up = threading.Event()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        links: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(_carry(self.line, self._target, reader, writer))
            links.add(task)
            task.add_done_callback(links.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.line.port = server.sockets[0].getsockname()[1]
        self.is_up.set()
        await self._end.wait()
        server.close()
        for link in list(links):
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self.join(30)


@contextmanager
def line_to(target: int, seed: int) -> Iterator[Line]:
    """Yields a line to a port of the loopback interface; at first it only passes on."""
    thread = _Thread(target, seed)
    thread.start()
    assert thread.is_up.wait(30)
    try:
        yield thread.line
    finally:
        thread.stop()
