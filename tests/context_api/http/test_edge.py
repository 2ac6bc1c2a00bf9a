"""What every answer has, what every request leaves in the log, and what neither has."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from context_api.http import logs
from context_api.http.edge import Edge
from context_api.http.metrics import Metrics
from context_api.http.options import HttpOptions
from tests.context_api.http.asgi import Answered, call


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Logs as JSON lines, and puts logging back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    logs.configure("info", "json", written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def _hello(scope: Scope, receive: Receive, send: Send) -> None:
    await Response("hello")(scope, receive, send)


async def _fail(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("secret text of a request")


async def _fail_late(scope: Scope, receive: Receive, send: Send) -> None:
    async def body() -> Any:
        yield b"half"
        raise ValueError("secret text of a request")

    await StreamingResponse(body())(scope, receive, send)


async def _leave(scope: Scope, receive: Receive, send: Send) -> None:
    raise ClientDisconnect


def ask(app: Any = _hello, options: HttpOptions | None = None, **request: Any) -> Answered:
    edge = Edge(app, options or HttpOptions(), Metrics())
    return asyncio.run(call(edge, **request))


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 128])
def test_a_request_id_is_echoed(given: str) -> None:
    answered = ask(headers=[("X-Request-ID", given)])
    assert answered.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", "é", "<script>", "a;b"])
def test_any_other_request_id_is_replaced(given: str) -> None:
    answered = ask(headers=[("X-Request-ID", given)])
    assert len(answered.headers["x-request-id"]) == 36


def test_answers_forbid_caching_sniffing_and_framing() -> None:
    headers = ask().headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert not [name for name in headers if name.startswith("access-control-")]


def test_what_nobody_caught_becomes_a_problem_without_details(stream: io.StringIO) -> None:
    answered = ask(_fail)
    assert answered.status == 500
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json["code"] == "internal_error"
    assert answered.json["request_id"] == answered.headers["x-request-id"]
    assert b"secret" not in answered.body
    assert b"ValueError" not in answered.body
    failure, request = lines(stream)
    assert (failure["error"], failure["level"]) == ("ValueError", "error")
    assert failure["request_id"] == request["request_id"] == answered.headers["x-request-id"]
    assert any("_fail" in place for place in failure["where"])
    assert "secret" not in stream.getvalue()


def test_an_answer_that_breaks_off_is_left_incomplete(stream: io.StringIO) -> None:
    """The connection is then closed, so that a client can tell half from whole."""
    answered = ask(_fail_late)
    assert (answered.status, answered.complete) == (200, False)
    assert lines(stream)[-1]["complete"] is False


def test_a_client_that_leaves_is_no_failure(stream: io.StringIO) -> None:
    assert ask(_leave).status == 0
    assert [line["code"] for line in lines(stream)] == ["client_disconnected"]


def test_the_log_has_one_line_without_query_key_or_body(stream: io.StringIO) -> None:
    ask(
        method="POST",
        path="/api/v1/sessions",
        query_string=b"q=private-question",
        headers=[("Authorization", "Bearer mctx_private"), ("X-Request-ID", "r1")],
        body=[b"private body"],
    )
    [line] = lines(stream)
    assert (line["method"], line["path"], line["status"]) == ("POST", "/api/v1/sessions", 200)
    assert (line["request_id"], line["bytes"]) == ("r1", 5)
    assert "private" not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nothing_that_a_client_sends_can_forge_a_line(
    stream: io.StringIO, log_format: logs.Format
) -> None:
    logs.configure("info", log_format, stream)
    forged = '/a\n{"event": "forged"}\r\x1b[31m\u2028'
    ask(path=forged, raw_path=forged.encode(), method="GE\nT")
    ask(path=forged, raw_path=None)
    logging.getLogger("library").warning("line\nbreak \x1b[31m")
    text = stream.getvalue()
    assert len(text.splitlines()) == 3
    assert "\x1b" not in text


def test_a_host_that_is_not_served_is_refused() -> None:
    options = HttpOptions(allowed_hosts=("hub.example", "[::1]"))
    assert ask(options=options, headers=[("Host", "HUB.example:8080")]).status == 200
    assert ask(options=options, headers=[("Host", "[::1]:8080")]).status == 200
    for host in ("evil.example", "hub.example.evil.example", ""):
        refused = ask(options=options, headers=[("Host", host)])
        assert (refused.status, refused.json["code"]) == (400, "bad_request")
