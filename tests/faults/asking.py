"""Plain HTTP to a hub under fault: answers as they come, and waiting with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.support.hub import Hub

API = "/api/v1"
WAIT_SECONDS = 20.0


def asking(hub: Hub, key: str | None = None) -> httpx.Client:
    """Returns a client that takes every answer as it is."""
    return httpx.Client(
        base_url=hub.url + API,
        headers={"Authorization": f"Bearer {key or hub.key}"},
        timeout=20,
        trust_env=False,
    )


def until(holds: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Returns what ``holds`` returns once it is true; fails after ``seconds``."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return found


def made(client: httpx.Client, path: str, **body: Any) -> Any:
    """Creates a record and returns its document."""
    answer = client.post(path, json=body)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def log_of(client: httpx.Client, project_id: str) -> list[dict[str, Any]]:
    """Returns a project's whole log."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["seq"] if found else 0
        page = client.get(f"/projects/{project_id}/events?limit=1000&after={after}").json()
        found += page["items"]
        if not page["items"]:
            assert page["head"] == len(found)
            return found


def hits(client: httpx.Client, query: str, project: str = "acme/api") -> list[dict[str, Any]]:
    """Returns what a search finds."""
    body = {"query": query, "projects": [project], "min_score": 0, "limit": 20}
    answer = client.post("/search", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["hits"]
    return found


def is_indexed(client: httpx.Client, project_id: str) -> bool:
    """Says whether words and vectors of a project are at its head."""
    project = client.get(f"/projects/{project_id}").json()
    return bool(project["indexed_seq"] == project["head"])


def verified(client: httpx.Client) -> dict[str, Any]:
    """Returns what verifying says."""
    found: dict[str, Any] = client.post("/admin/verify", json={}).json()
    return found
