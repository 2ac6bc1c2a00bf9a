"""Many clients that are slow on purpose: others are served, and the slow ones are cut off."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.hub import KEY, Hub, running_hub

SLOW = 600
REQUESTS = 120
ROUNDS = 3
PATIENCE_S = 60.0
TURN_S = 0.02
TURNS = 50
"""A byte a second of each, not all at once."""

MIB = 1024 * 1024

SEARCH = (
    f"POST /api/v1/search HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n"
    "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
).encode()
HEAD = (b"GET /health/live HTTP/1.1\r\nX-Slow: ", b"x")
BODY = (SEARCH, b" ")
SILENT = (b"", b"")
"""How to be slow: what is sent at once, and what is added a byte at a time."""


class SlowClients:
    """Connections that send a byte now and then, until each of them is ended by the other side.

    ``ends`` counts how: by a status, or by being cut off.
    """

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self._more: dict[socket.socket, bytes] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._trickle)

    def open(self, port: int, count: int, *ways: tuple[bytes, bytes]) -> None:
        """Opens ``count`` connections, the ways in turn."""
        for number in range(count):
            start, more = ways[number % len(ways)]
            one = socket.create_connection(("127.0.0.1", port), timeout=20)
            with contextlib.suppress(ConnectionError):
                one.sendall(start)
            self._more[one] = more
        self._thread.start()

    def close(self) -> None:
        """Ends them all."""
        self._stopped.set()
        self._thread.join(20)
        for one in self._more:
            one.close()

    def all_ended(self, seconds: float) -> bool:
        """Waits until the other side has ended every connection."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _trickle(self) -> None:
        poll = select.poll()
        by_number = {one.fileno(): one for one in self._more}
        for number in by_number:
            poll.register(number, select.POLLIN)
        turns = itertools.cycle(range(TURNS))
        while by_number and not self._stopped.wait(TURN_S):
            for number, _ in poll.poll(0):
                poll.unregister(number)
                self._end(by_number.pop(number))
            turn = next(turns)
            for one, more in self._more.items():
                if more and one.fileno() % TURNS == turn:
                    with contextlib.suppress(ConnectionError):
                        one.sendall(more)

    def _end(self, one: socket.socket) -> None:
        said = b""
        with contextlib.suppress(ConnectionError):
            said = one.recv(4096)
        self.ends[said[9:12].decode() or "cut"] += 1
        one.close()
        del self._more[one]


@contextlib.contextmanager
def slow_clients(hub: Hub, count: int, *ways: tuple[bytes, bytes]) -> Iterator[SlowClients]:
    clients = SlowClients()
    clients.open(hub.port, count, *ways)
    try:
        yield clients
    finally:
        clients.close()


def ask(hub: Hub) -> None:
    """Asks as somebody does who has just come."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/api/v1/projects", headers={"X-API-Key": KEY})
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)


def p99(hub: Hub) -> float:
    """Returns the 99th percentile of the time of a request, in the best of some rounds."""
    best = []
    for _ in range(ROUNDS):
        times = []
        for _ in range(REQUESTS):
            started = time.perf_counter()
            ask(hub)
            times.append(time.perf_counter() - started)
        best.append(sorted(times)[REQUESTS * 99 // 100])
    return min(best)


def resident(hub: Hub) -> int:
    assert hub.process is not None
    return psutil.Process(hub.process.pid).memory_info().rss


@pytest.mark.slow
def test_slow_clients_slow_nobody_and_are_cut_off(
    tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    hasty = {
        "MEMCTX_HEAD_TIMEOUT": "4",
        "MEMCTX_BODY_TIMEOUT": "4",
        "MEMCTX_BODY_IDLE_TIMEOUT": "3",
    }
    with running_hub(tmp_path / "hub", **hasty) as hub:
        without, before = p99(hub), resident(hub)
        with slow_clients(hub, SLOW, HEAD, BODY, SILENT) as slow:
            during = p99(hub)
            grown = resident(hub) - before
            assert slow.all_ended(PATIENCE_S)
            assert slow.ends == {"408": SLOW * 2 // 3, "cut": SLOW // 3}
        ask(hub)
    ratio = during / without
    record_property("p99_ratio", round(ratio, 2))
    record_property("memory_kib_each", round(grown / SLOW / 1024))
    print(
        f"p99 with {SLOW} slow clients {ratio:.2f} times that without, {grown / MIB:.0f} MiB more"
    )
    assert ratio < 5
    assert grown < 64 * MIB


@pytest.mark.slow
def test_those_who_only_wait_cannot_keep_others_out(tmp_path: Path) -> None:
    patient = {"MEMCTX_HEAD_TIMEOUT": "600", "MEMCTX_MAX_CONNECTIONS": "50"}
    with (
        running_hub(tmp_path / "hub", **patient) as hub,
        slow_clients(hub, 150, HEAD, SILENT) as slow,
    ):
        for _ in range(30):
            ask(hub)
        assert hub.process is not None
        end = time.monotonic() + PATIENCE_S
        while slow.ends.total() < 100:
            assert time.monotonic() < end
            time.sleep(TURN_S)
        assert set(slow.ends) == {"cut"}
        open_now = psutil.Process(hub.process.pid).net_connections("tcp")
        assert sum(one.status == psutil.CONN_ESTABLISHED for one in open_now) <= 50
