"""Connections that send too slowly, too much, or do not read."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from context_api.http.options import HttpOptions
from context_api.http.protocol import bounded

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HASTY = HttpOptions(head_timeout=0.3, idle_timeout=0.3, write_timeout=0.3)


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/large":
        piece = b"x" * (1024 * 1024)
        body = (piece for _ in range(100_000))
        await StreamingResponse(body)(scope, receive, send)
    else:
        await Response("hello")(scope, receive, send)


class _Server(uvicorn.Server):
    def __init__(self, options: HttpOptions) -> None:
        config = uvicorn.Config(_app, http=bounded(options), lifespan="off", log_config=None)
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@contextlib.contextmanager
def running_with(options: HttpOptions) -> Iterator[tuple[_Server, int]]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as bound:
        running = _Server(options)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            assert running.is_up.wait(10)
            yield running, bound.getsockname()[1]
        finally:
            running.should_exit = running.force_exit = True
            thread.join(10)


@pytest.fixture
def server() -> Iterator[tuple[_Server, int]]:
    with running_with(HASTY) as found:
        yield found


def connect(server: tuple[_Server, int]) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server[1]), timeout=10)


def everything(client: socket.socket) -> bytes:
    """Returns what comes until the other side closes."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65_536):
            received += piece
    return bytes(received)


def test_requests_on_one_connection_are_answered(server: tuple[_Server, int]) -> None:
    with connect(server) as client:
        for _ in range(3):
            client.sendall(GET)
            assert client.recv(65_536).endswith(b"hello")
        client.sendall(GET + GET)
        received = b""
        while received.count(b"hello") < 2:
            received += client.recv(65_536)


def is_late(answer: bytes) -> bool:
    """Says whether a client is told that it was too slow, as the application tells things."""
    top, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in top
    assert json.loads(body)["code"] == "request_timeout"
    return top.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_come_ends_the_connection(
    server: tuple[_Server, int], start: bytes
) -> None:
    with connect(server) as client:
        client.sendall(start)
        found = everything(client)
        assert is_late(found) if start else found == b""


def test_a_head_that_trickles_ends_the_connection(server: tuple[_Server, int]) -> None:
    ended = threading.Event()
    with connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")

        def trickle() -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(0.02):
                    client.sendall(b"x")

        sender = threading.Thread(target=trickle)
        sender.start()
        assert is_late(everything(client))
        ended.set()
        sender.join(10)


@pytest.mark.parametrize("begun", [b"GET / HT", b"\r\n"])
def test_a_later_head_that_does_not_come_ends_the_connection(
    server: tuple[_Server, int], begun: bytes
) -> None:
    with connect(server) as client:
        client.sendall(GET)
        assert client.recv(65_536).endswith(b"hello")
        client.sendall(begun)
        assert is_late(everything(client))


def test_a_connection_without_another_request_ends(server: tuple[_Server, int]) -> None:
    with connect(server) as client:
        client.sendall(GET)
        assert client.recv(65_536).endswith(b"hello")
        assert everything(client) == b""


def test_who_waits_longest_gives_way() -> None:
    patient = HttpOptions(head_timeout=60, idle_timeout=60, max_connections=3)
    with running_with(patient) as server, contextlib.ExitStack() as stack:
        idle, slow, silent = (stack.enter_context(connect(server)) for _ in range(3))
        while len(server[0].server_state.connections) < 3:
            threading.Event().wait(0.01)
        idle.sendall(GET)
        assert idle.recv(65_536).endswith(b"hello")
        slow.sendall(b"GET / HT")
        for longest in (slow, silent, idle):
            client = stack.enter_context(connect(server))
            client.sendall(GET)
            assert client.recv(65_536).endswith(b"hello")
            assert everything(longest) == b""
        assert len(server[0].server_state.connections) == 3


def test_where_all_are_being_answered_another_is_told_to_come_again() -> None:
    options = HttpOptions(max_connections=2)
    with running_with(options) as server, contextlib.ExitStack() as stack:
        for _ in range(2):
            reader = stack.enter_context(connect(server))
            reader.sendall(GET.replace(b"/ ", b"/large ", 1))
            assert reader.recv(10)
        with connect(server) as client:
            top, _, body = everything(client).partition(b"\r\n\r\n")
        assert top.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nretry-after: 1" in top
        assert json.loads(body)["code"] == "busy"


def test_a_head_without_end_is_refused(server: tuple[_Server, int]) -> None:
    with connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for number in range(3_000):
                client.sendall(b"X-%d: %s\r\n" % (number, b"x" * 100))
        assert everything(client).startswith(b"HTTP/1.1 431 ")


def test_a_client_that_does_not_read_is_cut_off(server: tuple[_Server, int]) -> None:
    running, _ = server
    with connect(server) as client:
        client.sendall(GET.replace(b"/ ", b"/large ", 1))
        assert client.recv(10)
        deadline = time.monotonic() + 10
        while running.server_state.connections and time.monotonic() < deadline:
            threading.Event().wait(0.02)
        assert not running.server_state.connections


def test_slow_clients_do_not_slow_others(server: tuple[_Server, int]) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            slow = stack.enter_context(connect(server))
            slow.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        started = time.monotonic()
        with connect(server) as client:
            for _ in range(100):
                client.sendall(GET)
                assert client.recv(65_536).endswith(b"hello")
        assert time.monotonic() - started < 5
