"""Each key has its limit; who passes it is told when to come back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from context_api.adapters.cache.limits import MemoryLimiter
from context_api.application.limiting import WINDOW_S
from context_api.http.access import OPEN_PATHS
from context_api.http.rate_limit import BODY_BYTES
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub


class Clock:
    """Time that a test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def limited(hub: Hub, limit: int) -> Iterator[Clock]:
    """Limits the keys of a running hub."""
    clock, services = Clock(), hub.app.state.services
    hub.app.state.services = replace(services, limiter=MemoryLimiter(limit, clock))
    try:
        yield clock
    finally:
        hub.app.state.services = services


def fields(answer: httpx.Response) -> tuple[int, int, int, int]:
    """Returns quota, window, remaining and reset as the headers tell them."""
    policy = re.fullmatch(r'"key";q=(\d+);w=(\d+)', answer.headers["ratelimit-policy"])
    left = re.fullmatch(r'"key";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    assert policy is not None
    assert left is not None
    return int(policy[1]), int(policy[2]), int(left[1]), int(left[2])


def get(client: httpx.Client) -> httpx.Response:
    return client.get("/api/v1/projects")


def test_without_a_limit_nothing_is_said_of_one(hub: Hub) -> None:
    answer = get(hub.client)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("ratelimit")]


def test_the_root_key_is_limited_too(hub: Hub) -> None:
    with limited(hub, 3) as clock:
        answers = [get(hub.client) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [fields(answer)[:3] for answer in answers] == [
            (3, WINDOW_S, left) for left in (2, 1, 0, 0)
        ]
        problem = checked(answers[-1], 429)
        wait = int(answers[-1].headers["retry-after"])
        assert problem["code"] == "rate_limited"
        assert problem["retry_after"] == wait > 0
        clock.now += wait - 1
        assert get(hub.client).status_code == 429
        clock.now += 1
        assert get(hub.client).status_code == 200


def test_one_key_does_not_use_up_the_limit_of_another(hub: Hub) -> None:
    keys = [hub.make_key("read")["key"] for _ in range(2)]
    with limited(hub, 2), hub.as_(keys[0]) as greedy, hub.as_(keys[1]) as other:
        assert [get(greedy).status_code for _ in range(5)] == [200, 200, 429, 429, 429]
        assert [get(other).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
def test_what_needs_no_key_has_no_limit(hub: Hub, path: str) -> None:
    with limited(hub, 1):
        answers = [hub.client.get(path) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit" not in answers[0].headers


def test_who_has_no_valid_key_takes_nothing(hub: Hub) -> None:
    with limited(hub, 1), hub.as_(None) as nobody:
        for _ in range(3):
            assert get(nobody).status_code == 401
        assert get(hub.client).status_code == 200


def test_every_way_to_ask_counts(hub: Hub) -> None:
    asks: list[dict[str, Any]] = [
        {"method": "GET", "url": "/api/v1/no/such/path"},
        {"method": "POST", "url": "/api/v1/search", "json": {"query": "x"}},
        {"method": "POST", "url": "/api/v1/search", "content": b"{"},
        {"method": "DELETE", "url": "/api/v1/sessions/none"},
    ]
    with limited(hub, len(asks)):
        assert 429 not in [hub.client.request(**ask).status_code for ask in asks]
        assert hub.client.request(**asks[1]).status_code == 429


def test_a_large_body_costs_more(hub: Hub) -> None:
    body = {"project": hub.make_project("limits/one"), "title": "x" * 100}
    body["description"] = "y" * (2 * BODY_BYTES)
    with limited(hub, 10):
        hub.client.post("/api/v1/sessions", json=body)
        assert fields(get(hub.client))[2] == 10 - 3 - 1


def test_a_body_without_a_declared_size_counts_as_one(hub: Hub) -> None:
    with limited(hub, 10):
        hub.client.post("/api/v1/search", content=iter([b"{}"]))
        hub.client.post("/api/v1/import", content=b"x" * (3 * BODY_BYTES))
        assert fields(get(hub.client))[2] == 10 - 3


def test_what_is_refused_is_not_done(hub: Hub) -> None:
    with limited(hub, 1):
        get(hub.client)
        refused = hub.client.post("/api/v1/projects", json={"slug": "limits/never"})
        assert refused.status_code == 429
    assert hub.client.get("/api/v1/projects", params={"slug": "limits/never"}).json()["items"] == []
