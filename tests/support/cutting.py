"""A line to a hub that can be cut: for all, behind the request, or so that nothing is heard.

What happens to a connection is settled when it has something to pass on, so a change of the mode
meets those that are open too. Which pieces are lost is drawn from a seeded generator.
"""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

CHUNK = 65_536
LOOK_S = 0.05


class Mode(StrEnum):
    """What becomes of what is sent."""

    OPEN = "passed on"
    CUT = "refused, and what is open is reset"
    UNANSWERED = "requests are passed on, their answers are lost"
    SILENT = "nothing is passed on and nothing is closed"
    FLAKY = "each piece may be the last of its connection"


@dataclass
class Cutter:
    """The line as it is now, and what has been lost on it."""

    port: int
    target: int
    chance: random.Random
    mode: Mode = Mode.OPEN
    share: float = 0.3
    lost: Counter[str] = field(default_factory=Counter)
    _open: set[socket.socket] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)

    def serve(self, listening: socket.socket) -> None:
        """Takes connections until the line ends."""
        listening.settimeout(LOOK_S)
        while not self._ended.is_set():
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if self.mode is Mode.CUT:
                self._reset(client)
                continue
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def end(self) -> None:
        """Ends the line."""
        self._ended.set()
        for one in [*self._open]:
            self._reset(one)

    def _carry(self, client: socket.socket) -> None:
        try:
            hub = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            self._reset(client)
            return
        pair = (client, hub)
        for one in pair:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.settimeout(LOOK_S)
        self._open.update(pair)
        down = threading.Thread(target=self._pass_on, args=(hub, client, "answer"), daemon=True)
        down.start()
        self._pass_on(client, hub, "request")
        down.join()
        for one in pair:
            self._open.discard(one)
            self._reset(one)

    def _pass_on(self, source: socket.socket, sink: socket.socket, what: str) -> None:
        with suppress(OSError):
            while data := self._next(source):
                if self._loses(what):
                    self.lost[what] += 1
                    break
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _next(self, source: socket.socket) -> bytes:
        while not self._ended.is_set() and self.mode is not Mode.CUT:
            if self.mode is Mode.SILENT:
                self._ended.wait(LOOK_S)
                continue
            try:
                return source.recv(CHUNK)
            except TimeoutError:
                continue
        return b""

    def _loses(self, what: str) -> bool:
        if self.mode is Mode.UNANSWERED:
            return what == "answer"
        return self.mode is Mode.FLAKY and self.chance.random() < self.share

    def _reset(self, one: socket.socket) -> None:
        with suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            one.close()


@contextmanager
def cutting(target: int, seed: int) -> Iterator[Cutter]:
    """Yields a line to a port of the loopback interface; at first it passes everything on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        cutter = Cutter(listening.getsockname()[1], target, random.Random(seed))
        thread = threading.Thread(target=cutter.serve, args=(listening,), name="cutter")
        thread.start()
        try:
            yield cutter
        finally:
            cutter.end()
            thread.join(10)
