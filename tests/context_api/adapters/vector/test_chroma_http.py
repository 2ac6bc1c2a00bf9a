"""Answers that are late, wrong or an error, from a server that the test speaks for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from context_api.adapters.vector.breaker import BreakerState, CircuitBreaker
from context_api.adapters.vector.chroma import ChromaVectors
from context_api.adapters.vector.chroma_http import Failed
from memory_core.errors import Corrupt, InvalidInput, Unavailable
from tests.context_api.adapters.vector.material import item, space, vector
from tests.support.patience import BUSY_S
from tests.support.servers.finding import free_port

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def speaking(answer: Answer) -> Iterator[str]:
    """Yields the URL of a server that answers everything with ``answer``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            answer(self)

        def do_POST(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def say(status: int, body: object) -> Answer:
    def answer(to: BaseHTTPRequestHandler) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        to.send_response(status)
        to.send_header("Content-Length", str(len(data)))
        to.end_headers()
        to.wfile.write(data)

    return answer


def search(url: str, **options: float) -> object:
    index = ChromaVectors(url, **options)  # type: ignore[arg-type]
    try:
        return index.nearest(space(), vector("a"), 5)
    finally:
        index.close()


@pytest.mark.parametrize("url", ["", "chroma:8000", "ftp://chroma", "file:///etc/passwd"])
def test_only_http_is_a_url(url: str) -> None:
    with pytest.raises(InvalidInput):
        ChromaVectors(url)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"error": "Unauthorized"}, Unavailable),
        (403, {}, Unavailable),
        (429, {}, Unavailable),
        (503, b"<html>busy</html>", Unavailable),
        (500, {"error": "InternalError", "message": "database is locked"}, Failed),
        (500, {"error": "InternalError", "message": "database or disk is full"}, Failed),
        (500, {"error": "InternalError", "message": "Error finding id"}, Corrupt),
        (500, {"error": "InternalError", "message": "hnsw segment reader"}, Corrupt),
        (400, {"error": "InvalidArgumentError", "message": "no"}, InvalidInput),
        (200, b"not json", Unavailable),
        (200, {"id": 5}, Unavailable),
        (200, b"", Unavailable),
        (307, b"", Unavailable),
    ],
)
def test_what_an_answer_means(status: int, body: object, error: type[Exception]) -> None:
    with speaking(say(status, body)) as url, pytest.raises(error) as found:
        search(url)
    assert type(found.value) is error or status in {429, 503}


def test_nothing_there_is_nothing_found() -> None:
    with speaking(say(404, {"error": "NotFoundError", "message": "gone"})) as url:
        assert search(url) == []


def test_nobody_listens() -> None:
    with pytest.raises(Unavailable):
        search(f"http://127.0.0.1:{free_port()}")


def test_an_error_is_one_printable_line_without_credentials() -> None:
    with speaking(say(500, {"message": "a\nb\x1b[31m" + "x" * 5000})) as url:
        secret = url.replace("//", "//user:hidden@")
        with pytest.raises(Unavailable) as error:
            search(secret)
    assert error.value.detail.isprintable()
    assert len(error.value.detail) < 400
    assert "hidden" not in error.value.detail


def test_a_server_that_trickles_does_not_hold_a_search() -> None:
    stop = threading.Event()

    def trickle(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", "100000")
        to.end_headers()
        while not stop.wait(0.05):
            to.wfile.write(b" ")
            to.wfile.flush()

    with speaking(trickle) as url:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="slowly"):
            search(url, read_timeout=0.4)
        took = time.monotonic() - begun
        stop.set()
    assert took < 0.4 + BUSY_S


def test_a_passing_error_is_asked_again_and_a_lasting_one_told() -> None:
    asked: list[str] = []

    def answer(to: BaseHTTPRequestHandler) -> None:
        asked.append(to.path)
        say(503 if len(asked) < 3 else 404, {})(to)

    with speaking(answer) as url:
        index = ChromaVectors(url)
        with pytest.raises(Unavailable):
            index.nearest(space(), vector("a"), 1)
        assert index.nearest(space(), vector("a"), 1) == []
        index.close()
    assert len(asked) == 3


def test_a_token_is_sent_and_not_to_another_host() -> None:
    seen: list[str | None] = []

    def elsewhere(to: BaseHTTPRequestHandler) -> None:
        seen.append(to.headers.get("authorization"))
        say(200, {})(to)

    with speaking(elsewhere) as other:

        def redirect(to: BaseHTTPRequestHandler) -> None:
            assert to.headers["x-chroma-token"] == "secret"
            assert to.headers["authorization"] == "Bearer secret"
            to.send_response(307)
            to.send_header("Location", other)
            to.send_header("Content-Length", "0")
            to.end_headers()

        with speaking(redirect) as url:
            index = ChromaVectors(url, token="secret")
            with pytest.raises(Unavailable):
                index.nearest(space(), vector("a"), 1)
            index.close()
    assert seen == []


def test_a_dead_server_costs_a_search_nothing_once_it_is_known() -> None:
    index = ChromaVectors(
        f"http://127.0.0.1:{free_port()}", breaker=CircuitBreaker("Chroma", first_pause=60)
    )
    here, query = space(), vector("a")
    for _ in range(3):
        with pytest.raises(Unavailable):
            index.nearest(here, query, 5)
    assert index.state() is BreakerState.OPEN
    taken = []
    for _ in range(100):
        begun = time.perf_counter()
        with pytest.raises(Unavailable, match="left alone"):
            index.nearest(here, query, 5)
        taken.append(time.perf_counter() - begun)
    assert sorted(taken)[len(taken) // 2] < 0.001
    with pytest.raises(Unavailable):
        index.upsert(here, [item("1", "a")])
    index.close()
