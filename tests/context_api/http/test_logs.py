"""A log says what happened and never what was in it, and no text can forge a line."""

from __future__ import annotations

import io
import json
import logging
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from context_api.http import logs
from tests.support.hub import KEY, Hub, running_hub

CANARIES = (
    "quokkatitle", "quokkabody", "quokkaquery", "quokkasecret", "quokkaheader", "quokkahost",
    "quokkatag", "quokkaslug", "quokkakeyname", "quokkaimport", "quokkapattern", "quokkajson",
)  # fmt: skip
ODD = "line\r\nbreak \x1b[31mred\x1b[0m \x9b1m \u2028 \u202e \x00 \x7f é 漢"
SECRET = "ghp_" + "quokkasecret" * 3


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Log lines as JSON; what was configured before comes back."""
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@given(text=st.text(), name=st.sampled_from(["detail", "path", "x"]))
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_any_text_stays_on_its_line(log_format: logs.Format, text: str, name: str) -> None:
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    stream = io.StringIO()
    try:
        logs.configure("info", log_format, stream)
        structlog.get_logger("test").info("event", **{name: text})
        logging.getLogger("a.library").warning("said %s", text)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    written = stream.getvalue()
    assert len(written.split("\n")) == 3
    assert len(written.splitlines()) == 2
    assert all(c == "\n" or c.isprintable() for c in written)


@pytest.mark.parametrize("text", ["\ud800", ODD, "\x1b]0;title\x07", "a\nlevel=error forged"])
def test_what_steers_a_terminal_is_written_as_an_escape(lines: io.StringIO, text: str) -> None:
    structlog.get_logger("test").info("event", detail=text, other={text: 1})
    assert lines.getvalue().isascii()
    assert [line["detail"] for line in parsed(lines)] == [text]


def test_what_json_does_not_know_is_still_one_object(lines: io.StringIO) -> None:
    structlog.get_logger("test").info("event", key={("a", 1): object(), 2: b"\xff"}, n=float("nan"))
    [line] = parsed(lines)
    assert line["level"] == "info"


def test_the_text_of_an_exception_is_not_logged(lines: io.StringIO) -> None:
    try:
        int("[parameters: ('quokkabody',)]")
    except ValueError:
        structlog.get_logger("test").exception("failed")
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
        logging.getLogger("a.library").exception("x", stack_info=True)
    found = parsed(lines)
    assert [line["error"] for line in found] == ["ValueError"] * 3
    assert all("test_the_text_of_an_exception" in line["where"][-1] for line in found)
    assert "quokkabody" not in lines.getvalue()


def test_keys_and_passwords_are_masked_should_they_get_there(lines: io.StringIO) -> None:
    log = structlog.get_logger("test")
    log.warning("starting", key=KEY, url="postgresql://app:quokkasecret@db/x")
    logging.getLogger("a.library").warning("redis://:quokkasecret@redis:6379 and %s", KEY)
    assert "quokkasecret" not in lines.getvalue()
    assert KEY not in lines.getvalue()
    assert "mctx_0123456789ab_[redacted]" in lines.getvalue()


def test_libraries_that_log_values_are_quiet(lines: io.StringIO) -> None:
    for name in ("sqlalchemy.engine", "aiosqlite", "httpx", "httpcore.http11", "psycopg.pool"):
        logging.getLogger(name).info("SELECT quokkabody")
        logging.getLogger(name).debug("SELECT quokkabody")
    assert lines.getvalue() == ""


def ask_everything(hub: Hub) -> None:
    """Uses many routes, well and badly, with canaries wherever a client can put them."""
    base = {"Authorization": f"Bearer {hub.key}", "User-Agent": "quokkaheader"}
    with httpx.Client(base_url=hub.url, headers=base, timeout=30) as client:
        api = "/api/v1"
        project = client.post(f"{api}/projects", json={"slug": "quokkaslug/one"}).json()["id"]
        turns = [{"role": "user", "text": f"quokkabody {ODD.replace(chr(0), '')} {SECRET}"}]
        session = client.post(
            f"{api}/sessions",
            json={"project": project, "title": "quokkatitle", "tags": ["quokkatag"],
                  "messages": turns},
        ).json()["id"]  # fmt: skip
        client.patch(f"{api}/sessions/{session}", json={"title": f"quokkatitle {SECRET}"})
        client.post(f"{api}/patterns", json={"project": project, "name": "quokkapattern",
                                             "pattern_type": "nonsense"})  # fmt: skip
        for body in ({"query": "quokkaquery"}, {"query": ODD}, {"query": SECRET, "limit": -1}):
            client.post(f"{api}/search", json=body)
            client.post(f"{api}/context", json={**body, "project": project})
        client.get(f"{api}/search", params={"q": "quokkaquery", "project": "quokkaslug/none"})
        client.get(f"{api}/sessions", params={"cursor": "quokkaquery"})
        client.get(f"{api}/sessions/{session}", params={"as_of": "quokkaquery"})
        client.post(f"{api}/keys", json={"name": "quokkakeyname", "scopes": ["read"]})
        client.post(f"{api}/tenants", json={"name": "quokkakeyname"})
        client.post(f"{api}/sessions", content=b'{"title": "quokkajson\x1b[31m')
        client.post(f"{api}/sessions", content=b"quokkajson" * 100_000)
        kind = {"Content-Type": "application/x-ndjson"}
        client.post(f"{api}/import", content=b'{"quokkaimport": 1}\n', headers=kind)
        client.post(f"{api}/import", content=b"quokkaimport\xff\x1b[31m\n", headers=kind)
        for headers in (
            {"Authorization": f"Bearer {SECRET}"},
            {"Authorization": "Bearer mctx_0123456789ab_" + "quokkasecret" * 4},
            {"X-API-Key": "quokkasecret"},
            {"X-Request-ID": "quokkaheader forged"},
            {"Idempotency-Key": "quokkaheader"},
            {"If-Match": '"quokkaheader"'},
            {"Host": "quokkahost"},
        ):
            client.get(f"{api}/sessions/{session}", headers=headers)
            client.post(f"{api}/checkpoints", headers=headers,
                        json={"project": project, "description": "quokkabody"})  # fmt: skip
        client.get(f"{api}/projects/{project}/events")
        client.delete(f"{api}/sessions/{session}", params={"erase": "true"})
    for raw in (
        b"GET /%0d%0aforged%1b[31m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"quokkajson nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nquokkaheader\x00: x\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", hub.port), 10) as connection:
            connection.sendall(raw)
            while connection.recv(4096):
                pass


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_whole_run_logs_no_content(tmp_path: Path, level: str) -> None:
    extra = {"MEMCTX_LOG_FORMAT": "json", "MEMCTX_LOG_LEVEL": level}
    with running_hub(tmp_path / "hub", **extra) as hub:
        ask_everything(hub)
        hub.stop()
        written = (hub.folder / "hub.log").read_bytes()
    assert [canary for canary in CANARIES if canary.encode() in written] == []
    assert KEY.encode() not in written
    assert KEY.rpartition("_")[2].encode() not in written
    said = [
        line for line in written.split(b"\n") if line and not line.startswith(b"memory-context")
    ]
    assert len(said) > 30
    for line in said:
        assert all(0x20 <= byte < 0x7F for byte in line), line
        assert isinstance(json.loads(line), dict)
    requests = [json.loads(line) for line in said if b'"event": "request"' in line]
    assert len(requests) > 30
    assert all(len(line["request_id"]) == 36 for line in requests)
    assert {"method", "path", "status", "ms", "key"} <= requests[0].keys()


def test_a_failure_of_the_hub_itself_logs_where_and_no_text(lines: io.StringIO) -> None:
    def inner() -> None:
        raise RuntimeError("quokkabody")

    try:
        inner()
    except RuntimeError as error:
        expected = traceback.extract_tb(error.__traceback__)[-1].lineno
        structlog.get_logger("test").error("unhandled", exc_info=error)
    [line] = parsed(lines)
    assert line["where"][-1].endswith(f":{expected} inner")
    assert "quokkabody" not in lines.getvalue()
