"""Connections that send too slowly, too much, or do not read."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from context_api.http import protocol
from context_api.http.protocol import BoundedProtocol

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/large":
        piece = b"x" * (1024 * 1024)
        body = (piece for _ in range(100_000))
        await StreamingResponse(body)(scope, receive, send)
    else:
        await Response("hello")(scope, receive, send)


class _Server(uvicorn.Server):
    def __init__(self) -> None:
        config = uvicorn.Config(_app, http=BoundedProtocol, lifespan="off", log_config=None)
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[_Server, int]]:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        running = _Server()
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
        thread.start()
        assert running.is_up.wait(10)
        yield running, bound.getsockname()[1]
        running.should_exit = running.force_exit = True
        thread.join(10)


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


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_come_ends_the_connection(
    server: tuple[_Server, int], start: bytes
) -> None:
    with connect(server) as client:
        client.sendall(start)
        assert everything(client) == b""


def test_a_later_head_that_does_not_come_ends_the_connection(server: tuple[_Server, int]) -> None:
    with connect(server) as client:
        client.sendall(GET)
        assert client.recv(65_536).endswith(b"hello")
        client.sendall(b"GET / HT")
        assert everything(client) == b""


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
