"""Bytes on a socket: bodies that are huge, endless, slow or broken off."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.context_api.http.serving import Hub, serving
from tests.support.services import KEY

MIB = 1024 * 1024
GIB = 1024 * MIB


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that is quick to lose patience."""
    given = {"body_idle_timeout": 0.5, "body_timeout": 2.0}
    with serving(tmp_path_factory.mktemp("hub"), **given) as running:
        yield running


def head(path: str, *headers: str, key: str = KEY, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: hub", f"X-API-Key: {key}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def connect(hub: Hub) -> socket.socket:
    return socket.create_connection(("127.0.0.1", hub.port), timeout=20)


def answer(client: socket.socket) -> tuple[int, dict[str, Any]]:
    """Returns status and JSON of the answer, and checks that the connection ends with it."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65_536):
            received += piece
    top, _, body = bytes(received).partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(body)


def resident() -> int:
    return psutil.Process(os.getpid()).memory_info().rss


def send_huge(client: socket.socket, total: int, *, chunked: bool) -> int:
    """Sends up to ``total`` bytes and returns how many were taken."""
    piece = b"x" * MIB
    frame = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
    taken = 0
    with contextlib.suppress(ConnectionError):
        while taken < total:
            client.sendall(frame)
            taken += len(piece)
    return taken


@pytest.mark.parametrize("path", ["/api/v1/sessions", "/api/v1/search"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_a_gigabyte_is_refused_in_constant_memory(
    hub: Hub, path: str, chunked: bool
) -> None:
    how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {GIB}"
    before = resident()
    with connect(hub) as client:
        client.sendall(head(path, "Content-Type: application/json", how))
        sender = threading.Thread(target=send_huge, args=(client, GIB), kwargs={"chunked": chunked})
        sender.start()
        status, problem = answer(client)
        sender.join(20)
    assert (status, problem["code"]) == (413, "payload_too_large")
    assert resident() - before < 80 * MIB


def test_a_client_that_asks_first_need_not_send(hub: Hub) -> None:
    with connect(hub) as client:
        length = f"Content-Length: {100 * MIB}"
        expect = "Expect: 100-continue"
        client.sendall(head("/api/v1/sessions", "Content-Type: application/json", length, expect))
        status, problem = answer(client)
    assert (status, problem["code"]) == (413, "payload_too_large")


def test_a_body_without_a_key_is_not_read(hub: Hub) -> None:
    with connect(hub) as client:
        how = ("Content-Type: application/json", "Transfer-Encoding: chunked")
        client.sendall(head("/api/v1/sessions", *how, key="mctx_wrong"))
        status, problem = answer(client)
    assert (status, problem["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("start", [b"", b'{"query": "x'])
def test_a_body_that_pauses_is_refused(hub: Hub, start: bytes) -> None:
    with connect(hub) as client:
        client.sendall(
            head("/api/v1/search", "Content-Type: application/json", "Content-Length: 1000") + start
        )
        status, problem = answer(client)
    assert (status, problem["code"]) == (408, "request_timeout")


def test_a_body_that_trickles_is_refused(hub: Hub) -> None:
    ended = threading.Event()
    with connect(hub) as client:
        client.sendall(
            head("/api/v1/search", "Content-Type: application/json", "Content-Length: 1000")
        )

        def trickle() -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(0.1):
                    client.sendall(b" ")

        sender = threading.Thread(target=trickle)
        sender.start()
        status, problem = answer(client)
        ended.set()
        sender.join(20)
    assert (status, problem["code"]) == (408, "request_timeout")


def test_a_body_that_breaks_off_stores_nothing(hub: Hub) -> None:
    hub.make_project("raw/half")
    body = json.dumps({"project": "raw/half", "title": "half"}).encode()
    for sent in (body[:-1], body[:10]):
        with connect(hub) as client:
            length = f"Content-Length: {len(body)}"
            client.sendall(head("/api/v1/sessions", "Content-Type: application/json", length))
            client.sendall(sent)
    listed = hub.client.get("/api/v1/sessions", params={"project": "raw/half"})
    assert listed.json()["items"] == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_http_is_refused(hub: Hub, garbage: bytes) -> None:
    with connect(hub) as client:
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65_536):
                received += piece
    assert received == b"" or received.split()[1] in {b"400", b"401"}
    assert hub.client.get("/health/live").status_code == 200


def test_an_import_of_many_mib_is_read_in_constant_memory(hub: Hub) -> None:
    """Its first line is of no export, so it is refused; the rest must not pile up."""
    before = resident()
    with connect(hub) as client:
        client.sendall(
            head(
                "/api/v1/import",
                "Content-Type: application/x-ndjson",
                f"Content-Length: {64 * MIB}",
            )
        )
        sender = threading.Thread(
            target=send_huge, args=(client, 64 * MIB), kwargs={"chunked": False}
        )
        sender.start()
        status, problem = answer(client)
        sender.join(20)
    assert (status, problem["code"]) == (413, "payload_too_large")
    assert resident() - before < 120 * MIB


def test_slow_clients_do_not_slow_others(hub: Hub, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            slow = stack.enter_context(connect(hub))
            slow.sendall(head("/api/v1/search", "Content-Length: 10"))
        for _ in range(50):
            assert hub.client.get("/health/live").status_code == 200
