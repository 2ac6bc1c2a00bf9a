"""Following a project's log as it grows."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from context_api.http.options import HttpOptions
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub
from tests.support.services import KEY


def events_of(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Yields the fields of each event; comments under ``comment``."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if fields:
                yield fields
            fields = {}
            continue
        name, _, value = line.partition(":")
        fields[name or "comment"] = value.removeprefix(" ")


@contextmanager
def following(
    hub: Hub, project: str, *, key: str | None = None, **request: Any
) -> Iterator[Iterator[dict[str, str]]]:
    path = f"/api/v1/projects/{project}/events/stream"
    with (
        hub.as_(key or KEY) as client,
        client.stream("GET", path, timeout=20, **request) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield (event for event in events_of(answer.iter_lines()))


def real(events: Iterator[dict[str, str]], count: int) -> list[dict[str, str]]:
    found = (event for event in events if "id" in event)
    return [next(found) for _ in range(count)]


def save(hub: Hub, project: str, count: int) -> None:
    for number in range(count):
        body = {"project": project, "description": f"step {number}\nwith a second line"}
        checked(hub.client.post("/api/v1/checkpoints", json=body), 201)


def test_the_log_by_page(hub: Hub) -> None:
    project = hub.make_project("stream/page")
    save(hub, project, 4)
    path = f"/api/v1/projects/{project}/events"
    seen: list[int] = []
    after = 0
    while True:
        page = checked(hub.client.get(path, params={"after": after, "limit": 2}), 200)
        seen += [event["seq"] for event in page["items"]]
        after = page["next_after"]
        if not page["items"]:
            break
    assert seen == [1, 2, 3, 4, 5]
    assert page["head"] == after == 5


def test_a_stream_sends_what_was_and_what_comes(hub: Hub) -> None:
    project = hub.make_project("stream/live")
    save(hub, project, 2)
    with following(hub, project) as events:
        first = real(events, 3)
        assert [event["id"] for event in first] == ["1", "2", "3"]
        assert first[1]["event"] == "checkpoint.created"
        assert json.loads(first[1]["data"])["content"]["description"].startswith("step 0\n")
        save(hub, project, 2)
        assert [event["id"] for event in real(events, 2)] == ["4", "5"]


@pytest.mark.parametrize("by_header", [True, False])
def test_a_stream_goes_on_where_it_broke_off(hub: Hub, by_header: bool) -> None:
    project = hub.make_project("stream/resumed")
    save(hub, project, 3)
    given = {"headers": {"Last-Event-ID": "2"}, "params": {"after": 0}}
    chosen = given if by_header else {"params": {"after": 2}}
    with following(hub, project, **chosen) as events:
        assert real(events, 1)[0]["id"] == "3"


def test_the_header_wins_over_the_parameter(hub: Hub) -> None:
    project = hub.make_project("stream/resumed")
    with following(hub, project, headers={"Last-Event-ID": "1"}, params={"after": 3}) as events:
        assert real(events, 1)[0]["id"] == "2"


def test_what_cannot_be_followed_is_an_answer_and_no_stream(hub: Hub) -> None:
    missing = "/api/v1/projects/01900000-0000-7000-8000-000000000000/events/stream"
    assert checked(hub.client.get(missing), 404)["code"] == "project_not_found"
    path = f"/api/v1/projects/{hub.make_project('stream/resumed')}/events/stream"
    for position in ("x", "-1", "1.5", str(2**63)):
        refused = hub.client.get(path, headers={"Last-Event-ID": position})
        assert checked(refused, 422)["code"] == "invalid_input"


def test_a_quiet_stream_sends_comments(own_hub: Hub) -> None:
    own_hub.app.state.options = HttpOptions(ping_interval=0.05)
    project = own_hub.make_project("stream/quiet")
    with following(own_hub, project, params={"after": 1}) as events:
        assert [next(events) for _ in range(3)] == [{"comment": "ping"}] * 3


def test_a_revoked_key_ends_its_streams_within_five_seconds(hub: Hub) -> None:
    project = hub.make_project("stream/revoked")
    made = hub.make_key("read")
    with following(hub, project, key=made["key"]) as events:
        real(events, 1)
        hub.client.delete(f"/api/v1/keys/{made['id']}")
        started = time.monotonic()
        assert [event for event in events if "id" in event] == []
        assert time.monotonic() - started < 5


def test_a_stream_ends_when_the_hub_stops(own_hub: Hub) -> None:
    project = own_hub.make_project("stream/stop")
    with following(own_hub, project) as events:
        real(events, 1)
        own_hub.app.state.stopping.set()
        assert list(events) == []


def test_many_followers_see_every_event_in_order(hub: Hub) -> None:
    project = hub.make_project("stream/many")
    seen: list[list[str]] = [[] for _ in range(8)]
    ready = threading.Barrier(9)

    def follow(into: list[str]) -> None:
        with following(hub, project) as events:
            real(events, 1)
            ready.wait(20)
            into += [event["id"] for event in real(events, 20)]

    threads = [threading.Thread(target=follow, args=(into,)) for into in seen]
    for thread in threads:
        thread.start()
    ready.wait(20)
    save(hub, project, 20)
    for thread in threads:
        thread.join(30)
    assert seen == [[str(number) for number in range(2, 22)]] * 8


def test_followers_that_left_are_forgotten(own_hub: Hub) -> None:
    project = own_hub.make_project("stream/left")
    for _ in range(5):
        with following(own_hub, project) as events:
            real(events, 1)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        text = own_hub.client.get("/metrics").text
        if "memctx_http_requests_in_flight 1.0" in text:
            return
    raise AssertionError(text)


def test_a_stream_needs_its_scope_and_project(hub: Hub) -> None:
    mine, other = hub.make_project("stream/mine"), hub.make_project("stream/other")
    key = hub.make_key("read", projects=[mine])["key"]
    with following(hub, mine, key=key) as events:
        real(events, 1)
    with hub.as_(key) as client:
        refused: httpx.Response = client.get(f"/api/v1/projects/{other}/events/stream")
    assert checked(refused, 404)["code"] == "project_not_found"
