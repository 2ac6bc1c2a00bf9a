"""Requests over real sockets to servers that misbehave."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from memory_core.errors import (
    Busy,
    ContextError,
    InvalidInput,
    InvalidText,
    ModelMissing,
    NotFound,
    RateLimited,
    SlugTaken,
)
from sync_agent.channel import Channel, Retry, segment
from sync_agent.errors import BrokenAnswer, HubTimeout, HubUnreachable, NotAHub, from_problem
from sync_agent.url import parse_url
from tests.support.hub import free_port
from tests.support.patience import BUSY_S
from tests.support.web import respond, serving

PROBLEM = {"Content_Type": "application/problem+json"}
JSON = {"Content_Type": "application/json"}
KEY = "mctx_0123456789ab_" + "k" * 43
PATIENT = Retry(budget=5.0, first=0.01, cap=0.02)


def problem(code: str, status: int, **more: Any) -> bytes:
    return json.dumps(
        {"code": code, "status": status, "title": "T.", "detail": "D", **more}
    ).encode()


opened: list[Channel] = []


@pytest.fixture(autouse=True)
def close_channels() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


def channel(url: str, retry: Retry = PATIENT, **more: Any) -> Channel:
    opened.append(Channel(parse_url(url), KEY, retry=retry, **more))
    return opened[-1]


class Scripted:
    """Answers the n-th request as the n-th step says, and the last step from then on."""

    def __init__(self, *steps: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.steps = list(steps)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.command, request.path, headers, body))
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        step(request)


def fine(request: BaseHTTPRequestHandler) -> None:
    respond(request, 200, b'{"ok": true}', **JSON)


def refuse(status: int, code: str, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda request: respond(request, status, problem(code, status), **PROBLEM, **headers)


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)
    request.close_connection = True


def test_sends_what_the_contract_asks_for() -> None:
    script = Scripted(fine)
    with serving(script) as url:
        answer = channel(url).call(
            "POST",
            "/api/v1/x",
            body={"a": "ä"},
            query={"q": "a b&c", "n": None, "f": True, "l": ["1", "2"]},
        )
    assert answer.body == {"ok": True}
    method, path, headers, body = script.seen[0]
    assert (method, path) == ("POST", "/api/v1/x?q=a+b%26c&f=true&l=1&l=2")
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"
    assert len(headers["idempotency-key"]) == 36
    assert json.loads(body) == {"a": "ä"}


def test_a_connection_is_used_again() -> None:
    ports: list[int] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        ports.append(request.client_address[1])
        fine(request)

    with serving(note) as url:
        used = channel(url)
        for _ in range(3):
            used.call("GET", "/x")
    assert len(set(ports)) == 1


def test_a_connection_that_the_hub_has_closed_is_opened_again() -> None:
    def once(request: BaseHTTPRequestHandler) -> None:
        fine(request)
        request.close_connection = True

    with serving(once) as url:
        used = channel(url, Retry(budget=0.0))
        for _ in range(3):
            used.call("GET", "/x")
            time.sleep(0.05)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_lost_answer_is_asked_for_again_under_the_same_key(method: str) -> None:
    script = Scripted(hang_up, hang_up, fine)
    with serving(script) as url:
        assert channel(url).call(method, "/x", body={"a": 1}).body == {"ok": True}
    assert len(script.seen) == 3
    assert len({headers.get("idempotency-key") for _, _, headers, _ in script.seen}) == 1
    assert len({body for *_, body in script.seen}) == 1


def test_what_must_not_happen_twice_is_sent_once() -> None:
    script = Scripted(hang_up, fine)
    with serving(script) as url, pytest.raises(HubUnreachable):
        channel(url).call("DELETE", "/x", repeatable=False)
    assert len(script.seen) == 1


@pytest.mark.parametrize(
    "first",
    [
        refuse(503, "busy"),
        refuse(429, "rate_limited"),
        refuse(503, "unavailable"),
        refuse(503, "model_missing", Retry_After="0"),
        lambda request: respond(request, 502, b"<html>", Content_Type="text/html"),
        lambda request: respond(request, 503, b'{"status": "unavailable"}', **JSON),
    ],
)
def test_what_passes_is_waited_for(first: Callable[[BaseHTTPRequestHandler], None]) -> None:
    script = Scripted(first, fine)
    with serving(script) as url:
        assert channel(url).call("GET", "/x").body == {"ok": True}
    assert len(script.seen) == 2


def test_what_does_not_pass_is_not_waited_for() -> None:
    script = Scripted(refuse(503, "model_missing"))
    with serving(script) as url, pytest.raises(ModelMissing):
        channel(url).call("GET", "/x")
    assert len(script.seen) == 1


def test_retry_after_is_honoured_in_seconds_and_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    waits: list[float] = []
    script = Scripted(
        refuse(429, "rate_limited", Retry_After="1"),
        refuse(503, "busy", Retry_After=later),
        fine,
    )
    with serving(script) as url:
        patient = channel(url, on_wait=lambda _, seconds: waits.append(seconds))
        start = time.monotonic()
        patient.call("GET", "/x")
        passed = time.monotonic() - start
    assert waits[0] == 1.0
    assert sum(waits) <= passed < 4 + BUSY_S


def test_waiting_is_bounded() -> None:
    script = Scripted(refuse(429, "rate_limited", Retry_After="3600"))
    with serving(script) as url, pytest.raises(RateLimited):
        channel(url).call("GET", "/x")
    assert len(script.seen) == 1
    start = time.monotonic()
    with pytest.raises(HubUnreachable):
        channel(f"http://127.0.0.1:{free_port()}", Retry(budget=0.3, first=0.01)).call("GET", "/x")
    assert time.monotonic() - start < 2 + BUSY_S


def test_a_hub_that_comes_back_is_found() -> None:
    port = free_port()
    answered = threading.Event()

    def late() -> None:
        time.sleep(0.3)
        with socket.create_server(("127.0.0.1", port)) as server:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 2\r\n\r\n{}"
                )
                answered.wait(30)

    thread = threading.Thread(target=late)
    thread.start()
    patient = channel(f"http://127.0.0.1:{port}")
    assert patient.call("GET", "/x").body == {}
    answered.set()
    thread.join()


@contextmanager
def raw_server(*answers: bytes, hold: bool = False) -> Iterator[str]:
    """Answers each connection with fixed bytes and closes it, or keeps it open and silent."""
    done = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        left = list(answers)
        while not done.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(left.pop(0) if len(left) > 1 else left[0])
                if hold:
                    done.wait(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        done.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "cut",
    [
        HEAD + b"Content-Length: 100\r\n\r\n{",
        HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
        HEAD + b'Transfer-Encoding: chunked\r\n\r\n50\r\n{"a":',
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_a_cut_answer_is_not_taken_for_a_whole_one(cut: bytes) -> None:
    with raw_server(cut) as url, pytest.raises(BrokenAnswer):
        channel(url, Retry(budget=0.0)).call("GET", "/x")
    with (
        raw_server(cut) as url,
        pytest.raises(BrokenAnswer),
        channel(url).stream("GET", "/x") as reply,
    ):
        list(reply.pieces())


def test_a_silent_hub_is_given_up() -> None:
    with raw_server(b"", hold=True) as url, pytest.raises(HubTimeout, match="in time"):
        channel(url, Retry(budget=0.0)).call("GET", "/x", seconds=0.2)
    half = HEAD + b"Content-Length: 9\r\n\r\n{"
    with raw_server(half, hold=True) as url, pytest.raises(BrokenAnswer):
        channel(url, Retry(budget=0.0)).call("GET", "/x", seconds=0.2)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/html\r\n\r\n<html",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/html\r\n\r\n{}",
        b"HTTP/1.1 404 Nope\r\nContent-Length: 3\r\n\r\nnon",
        b"HTTP/1.1 404 Nope\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{",
        b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_another_program_at_the_address_is_recognised(answer: bytes) -> None:
    with raw_server(answer) as url, pytest.raises(NotAHub):
        channel(url).call("GET", "/x")


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"\x16\x03\x01\x00"])
def test_what_is_no_http_at_all_is_no_answer(garbage: bytes) -> None:
    with raw_server(garbage) as url, pytest.raises(HubUnreachable):
        channel(url, Retry(budget=0.0)).call("GET", "/x")


def test_a_redirect_never_takes_the_key_along() -> None:
    seen = Scripted(fine)
    with serving(seen) as other:
        moved = Scripted(lambda request: respond(request, 307, Location=other + "/x"))
        with serving(moved) as url, pytest.raises(NotAHub, match="redirects"):
            channel(url).call("GET", "/x")
    assert seen.seen == []


def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_agent.channel.MAX_ANSWER_BYTES", 1_000)
    script = Scripted(lambda request: respond(request, 200, b" " * 5_000, **JSON))
    with serving(script) as url, pytest.raises(BrokenAnswer, match="longer"):
        channel(url).call("GET", "/x")


def test_a_refused_upload_says_why() -> None:
    """The hub answers and closes while a long body is still being sent."""
    refusal = problem("payload_too_large", 413)
    answer = (
        b"HTTP/1.1 413 Too Large\r\nContent-Type: application/problem+json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(refusal)
    ) + refusal
    pieces = (b"x" * 65536 for _ in range(400))
    with (
        raw_server(answer) as url,
        pytest.raises(ContextError) as caught,
        channel(url).stream("POST", "/x", body=pieces),
    ):
        pass
    assert caught.value.code in {"payload_too_large", "hub_unreachable"}


def test_a_streamed_body_is_never_sent_a_second_time() -> None:
    script = Scripted(refuse(503, "busy"), fine)
    with (
        serving(script) as url,
        pytest.raises(Busy),
        channel(url).stream("POST", "/x", body=iter([b"once"])),
    ):
        pass
    assert len(script.seen) == 1


def test_problems_become_errors_by_their_code() -> None:
    error = from_problem(
        409, {"code": "slug_taken", "detail": "D", "project_id": "7", "title": "T"}
    )
    assert isinstance(error, SlugTaken)
    assert (error.detail, error.extra) == ("D", {"project_id": "7"})
    assert isinstance(from_problem(404, {"code": "not_found"}), NotFound)
    assert type(from_problem(500, {"code": "internal_error"})) is ContextError


def test_problems_of_a_newer_hub_keep_their_code() -> None:
    error = from_problem(418, {"code": "kettle_busy", "title": "It boils.", "detail": "wait"})
    assert (error.code, error.status, error.title(), error.detail) == (
        "kettle_busy",
        418,
        "It boils.",
        "wait",
    )
    again = from_problem(418, {"code": "kettle_busy", "title": "It boils.", "detail": "wait"})
    assert type(again) is type(error)
    assert from_problem(400, {"code": "../x; rm", "title": ""}).code == "../x; rm"


def test_text_that_is_no_utf_8_never_leaves() -> None:
    unreachable = channel(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(InvalidText):
        unreachable.call("POST", "/x", body={"a": "\udcff"})
    with pytest.raises(InvalidText):
        unreachable.call("GET", "/x", query={"a": "\udcff"})
    with pytest.raises(InvalidInput):
        unreachable.call("POST", "/x", body={"a": float("nan")})


@pytest.mark.parametrize("text", ["", ".", ".."])
def test_a_part_of_a_path_is_no_way_out_of_it(text: str) -> None:
    with pytest.raises(InvalidInput):
        segment(text)
    assert segment("../keys") == "..%2Fkeys"
    assert segment("a?b#c") == "a%3Fb%23c"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@contextmanager
def tls_server(certificate: tuple[Path, Path]) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = server.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65536)
                    connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")
            except (ssl.SSLError, OSError):
                plain.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def test_a_certificate_is_always_checked(certificate: tuple[Path, Path]) -> None:
    with tls_server(certificate) as port:
        url = f"https://localhost:{port}"
        hasty = Retry(budget=0.0)
        with pytest.raises(HubUnreachable, match="not trusted"):
            channel(url, hasty).call("GET", "/x")
        assert channel(url, hasty, ca_file=certificate[0]).call("GET", "/x").body == {}
        other_name = f"https://127.0.0.1:{port}"
        with pytest.raises(HubUnreachable, match="not trusted"):
            channel(other_name, hasty, ca_file=certificate[0]).call("GET", "/x")
