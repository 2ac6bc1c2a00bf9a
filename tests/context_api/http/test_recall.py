"""Search and context packs over HTTP."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub


@pytest.fixture(scope="module")
def project(hub: Hub) -> str:
    """A project whose few records are indexed."""
    made = hub.make_project("recall/one")
    turns = [
        {"role": "user", "text": "Why does the tokenizer drop apostrophes?", "author": "ada"},
        {"role": "assistant", "text": "Because the regular expression splits at every quote."},
        {"role": "user", "text": "Then let us write a parser by hand."},
    ]
    body = {"project": made, "title": "Tokenizer and apostrophes", "messages": turns}
    checked(hub.client.post("/api/v1/sessions", json=body), 201)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        state = hub.client.get(f"/api/v1/projects/{made}").json()
        if state["indexed_seq"] == state["head"]:
            return made
    raise AssertionError(state)


def search(hub: Hub, **given: Any) -> Any:
    return checked(hub.client.post("/api/v1/search", json={"query": "apostrophes", **given}), 200)


def test_search_finds_with_its_source(hub: Hub, project: str) -> None:
    found = search(hub, projects=[project], kinds=["message"])
    assert "apostrophes" in found["hits"][0]["snippet"]
    assert found["hits"][0]["author"] == "ada"
    assert found["indexed_seq"] == found["head"]
    assert found["hits"][0].get("explain") is None


def test_search_explains(hub: Hub, project: str) -> None:
    assert search(hub, projects=["recall/one"], explain=True)["hits"][0]["explain"]


def test_search_by_address_is_the_same(hub: Hub, project: str) -> None:
    given = {"q": "apostrophes", "project": project, "limit": 2}
    found = checked(hub.client.get("/api/v1/search", params=given), 200)
    asked = search(hub, projects=[project], limit=2)
    assert [hit["id"] for hit in found["hits"]] == [hit["id"] for hit in asked["hits"]]


def test_the_limit_holds(hub: Hub, project: str) -> None:
    assert len(search(hub, projects=[project], limit=1)["hits"]) == 1


def test_a_context_fits_its_budget(hub: Hub, project: str) -> None:
    body = {"project": project, "query": "apostrophes", "budget_tokens": 300}
    pack = checked(hub.client.post("/api/v1/context", json=body), 200)
    assert pack["tokens_used"] <= pack["budget_tokens"] == 300
    assert "apostrophes" in pack["text"]
    assert pack["items"]


def test_a_context_without_a_question(hub: Hub, project: str) -> None:
    pack = checked(hub.client.post("/api/v1/context", json={"project": project}), 200)
    assert pack["budget_tokens"] == 2_000


@pytest.mark.parametrize("path", ["search", "context"])
def test_recall_in_an_unknown_project(hub: Hub, path: str) -> None:
    body = {"search": {"query": "x", "projects": ["no/such"]}, "context": {"project": "no/such"}}
    refused = hub.client.post(f"/api/v1/{path}", json=body[path])
    assert checked(refused, 404)["code"] == "project_not_found"


@pytest.mark.parametrize(
    "given",
    [
        {"query": ""},
        {"limit": 0},
        {"limit": 101},
        {"kinds": ["project"]},
        {"tags_match": "some"},
        {"since": "2026-11-21"},
        {"as_of": -1},
        {"min_score": 2},
        {"unknown": 1},
    ],
)
def test_a_search_that_is_wrong(hub: Hub, given: dict[str, Any]) -> None:
    refused = hub.client.post("/api/v1/search", json={"query": "apostrophes", **given})
    assert checked(refused, 422)["code"].startswith("invalid_")
