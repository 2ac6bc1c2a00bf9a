"""The transport over real sockets: what is sent, what is read, what it cost."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from memory_core.errors import EpochChanged, OperationsMissing, ReplicaForked
from memory_core.ids import uuid7
from memory_core.sync.vectors import HASH_BYTES, VectorBatch, pack
from sync_agent.channel import Channel, Retry
from sync_agent.errors import BrokenAnswer, InvalidAnswer
from sync_agent.exchange import PullRequest, PushRequest, SnapshotRequest, Standing
from sync_agent.sync.http import HttpTransport
from sync_agent.url import parse_url
from tests.support.web import respond, serving
from tests.sync_agent.sync.samples import (
    CALLER,
    EPOCH,
    PROJECT,
    ZERO,
    pull_body,
    push_body,
    snapshot_body,
    wire_events,
)

HASH = bytes(HASH_BYTES).hex()


class Server:
    """Answers every request with the same body, packed if it was asked to; keeps what came."""

    def __init__(self, answer: Any, status: int = 200) -> None:
        self.content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.kind = "application/octet-stream" if isinstance(answer, bytes) else "application/json"
        self.status = status
        self.method, self.path = "", ""
        self.headers: dict[str, str] = {}
        self.body = b""

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        self.method, self.path = request.command, request.path
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.body = request.rfile.read(int(self.headers.get("content-length", 0)))
        more = {"Content_Type": self.kind}
        content = self.content
        if self.headers.get("accept-encoding") == "gzip":
            content, more["Content_Encoding"] = gzip.compress(content), "gzip"
        respond(request, self.status, content, **more)

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    @property
    def json(self) -> Any:
        packed = self.headers.get("content-encoding") == "gzip"
        return json.loads(gzip.decompress(self.body) if packed else self.body)


@contextmanager
def hub(server: Server) -> Iterator[HttpTransport]:
    with serving(server) as url:
        transport = HttpTransport(Channel(parse_url(url), "key", retry=Retry(budget=0.0)))
        try:
            yield transport
        finally:
            transport.close()


def test_a_pull_says_who_asks_and_where_it_stands() -> None:
    server = Server(pull_body(items=[], head=5, next_after=5))
    request = PullRequest(
        epoch=EPOCH, after=5, confirmed=3, wait=7, limit=10, standing=Standing(1, 2, 3, True)
    )
    with hub(server) as transport:
        page = transport.pull(PROJECT, CALLER, request)
        assert page.epoch == EPOCH
        assert transport.wire.requests == 1
        assert 0 < transport.wire.received < len(server.content)
    assert urlsplit(server.path).path == f"/api/v1/projects/{PROJECT}/sync/pull"
    assert server.query == {
        "replica": [CALLER.id],
        "name": [CALLER.name],
        "agent": [CALLER.agent],
        "protocol": ["1"],
        "epoch": [EPOCH],
        "after": ["5"],
        "limit": ["10"],
        "wait": ["7"],
        "confirmed": ["3"],
        "pending": ["1"],
        "conflicts": ["2"],
        "rejected": ["3"],
        "paused": ["true"],
    }


def test_a_push_is_packed() -> None:
    server = Server(push_body())
    operations = [{"number": 1, "op_id": uuid7(), "body": {"text": "word " * 1_000}}]
    with hub(server) as transport:
        answer = transport.push(
            PROJECT, CALLER, PushRequest(epoch=EPOCH, confirmed=0, operations=operations)
        )
        assert answer.results[0].outcome == "accepted"
        assert transport.wire.sent == len(server.body) < 1_000
    assert server.method == "POST"
    assert server.json == {
        "protocol": 1,
        "replica": {"id": CALLER.id, "name": CALLER.name, "agent": CALLER.agent},
        "epoch": EPOCH,
        "confirmed": 0,
        "status": {"pending": 0, "conflicts": 0, "rejected": 0, "paused": False},
        "operations": operations,
    }


@pytest.mark.parametrize(
    ("status", "problem", "error"),
    [
        (409, {"code": "operations_missing", "expected": 4}, OperationsMissing),
        (409, {"code": "replica_forked"}, ReplicaForked),
        (410, {"code": "epoch_changed"}, EpochChanged),
    ],
)
def test_a_refusal_is_an_error_with_what_the_hub_said(
    status: int, problem: dict[str, Any], error: type[Exception]
) -> None:
    with hub(Server(problem, status)) as transport, pytest.raises(error) as caught:
        transport.push(PROJECT, CALLER, PushRequest(epoch=EPOCH, confirmed=0, operations=[]))
    extra = getattr(caught.value, "extra", {})
    assert extra == {name: problem[name] for name in problem if name != "code"}


def test_a_snapshot_is_asked_for_within_limits() -> None:
    server = Server(snapshot_body())
    with hub(server) as transport:
        page = transport.snapshot(PROJECT, SnapshotRequest(max_sessions=5, cursor="c", limit=2))
    assert page.seq == 7
    assert server.query == {"max_sessions": ["5"], "cursor": ["c"], "limit": ["2"]}


def test_vectors_come_as_bytes() -> None:
    vector = np.linspace(-1, 1, 8, dtype=np.float32)
    server = Server(pack(VectorBatch("minilm", 8, [(HASH, vector)])))
    with hub(server) as transport:
        batch = transport.vectors(PROJECT, [HASH])
        assert transport.wire.requests == 1
    assert batch is not None
    assert (batch.model, batch.dimension, batch.rows[0][0]) == ("minilm", 8, HASH)
    assert np.abs(batch.rows[0][1] - vector).max() < 0.005
    assert server.json == {"hashes": [HASH]}


def test_no_vectors_are_none_and_others_are_refused() -> None:
    with hub(Server(b"")) as transport:
        assert transport.vectors(PROJECT, [HASH]) is None
    with hub(Server(b"MCV1 but no more")) as transport, pytest.raises(InvalidAnswer):
        transport.vectors(PROJECT, [HASH])


def test_vectors_that_are_cut_off_are_refused() -> None:
    def cut(request: BaseHTTPRequestHandler) -> None:
        respond(request, 200, b"MCV1", Content_Type="application/octet-stream", Content_Length="9")
        request.close_connection = True

    with serving(cut) as url:
        transport = HttpTransport(Channel(parse_url(url), None, retry=Retry(budget=0.0)))
        with pytest.raises(BrokenAnswer):
            transport.vectors(PROJECT, [HASH])
        transport.close()


def test_digests_and_events_of_the_log() -> None:
    server = Server({"epoch": EPOCH, "head": 9, "digests": [ZERO]})
    with hub(server) as transport:
        assert transport.digests(PROJECT, [(1, 9)]).digests == [bytes(32)]
    assert server.json == {"ranges": [[1, 9]]}
    server = Server({"items": wire_events(2)})
    with hub(server) as transport:
        assert [item.event.seq for item in transport.events(PROJECT, [1, 2])] == [1, 2]
    assert server.json == {"seqs": [1, 2]}


def test_a_project_is_made_known() -> None:
    server = Server({"id": PROJECT, "slug": "acme/api"}, 201)
    with hub(server) as transport:
        assert transport.attach({"slug": "acme/api"})["id"] == PROJECT
    assert (server.method, server.path) == ("POST", "/api/v1/projects")
    with hub(Server([])) as transport, pytest.raises(InvalidAnswer):
        transport.attach({"slug": "acme/api"})
