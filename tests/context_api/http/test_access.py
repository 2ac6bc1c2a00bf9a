"""Every route needs a key with enough rights, but for the four open ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from starlette.routing import Match

from context_api.http.access import OPEN_PATHS, SCOPES, allowed_methods
from context_api.http.app import openapi_document
from tests.context_api.http.serving import Hub

METHODS = ("get", "post", "put", "patch", "delete")
SOME_ID = "01900000-0000-7000-8000-000000000000"
BELOW = {
    "write": ["read"],
    "metrics": ["read", "write"],
    "admin": ["read", "write"],
    "root": ["read", "write", "admin"],
}


def routes() -> Iterator[tuple[str, str]]:
    for path, operations in openapi_document()["paths"].items():
        for method in METHODS:
            if method in operations:
                yield method.upper(), path


KEYED = sorted(set(routes()) - {("GET", path) for path in OPEN_PATHS})
TOO_SMALL = [(*route, held) for route in KEYED for held in BELOW.get(SCOPES[route], [])]


def filled(path: str) -> str:
    return re.sub(r"\{\w+_id\}", SOME_ID, path)


@pytest.fixture(scope="module")
def keys(hub: Hub) -> dict[str, str]:
    return {scope: hub.make_key(scope)["key"] for scope in ("read", "write", "admin")}


def test_the_table_and_the_routes_are_the_same() -> None:
    described = set(routes())
    assert {route for route in described if route[1] not in OPEN_PATHS} == set(SCOPES)
    assert {path for _, path in described if path in OPEN_PATHS} == {
        "/health/live",
        "/health/ready",
    }


def test_no_route_hides_from_the_description(hub: Hub) -> None:
    """What the router answers at all is described, or is one of the two pages about it."""
    paths = [*{path for _, path in routes()}, "/docs", "/openapi.json"]
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"):
        for path in paths:
            scope = {"type": "http", "method": method, "path": filled(path), "headers": []}
            matched = any(
                route.matches({**scope, "root_path": ""})[0] is Match.FULL
                for route in hub.app.routes
            )
            expected = method in allowed_methods(filled(path))
            known_head = method == "HEAD" and path == "/openapi.json"
            assert matched == (expected or known_head), (method, path)


@pytest.mark.parametrize(("method", "path"), KEYED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dXNlcjp3b3Jk"},
        {"Authorization": "Bearer mctx_0123456789ab_" + "x" * 43},
        {"X-API-Key": "mctx_" + "a" * 12 + "_" + "x" * 43},
        {"X-API-Key": "' OR 1=1 --"},
    ],
    ids=["none", "empty", "basic", "wrong", "unknown", "strange"],
)
def test_no_route_answers_without_a_key(
    hub: Hub, method: str, path: str, headers: dict[str, str]
) -> None:
    refused = httpx.request(method, hub.url + filled(path), headers=headers, json={})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "unauthorized"


@pytest.mark.parametrize(("method", "path", "held"), TOO_SMALL)
def test_no_route_answers_a_smaller_scope(
    hub: Hub, keys: dict[str, str], method: str, path: str, held: str
) -> None:
    with hub.as_(keys[held]) as client:
        refused = client.request(method, filled(path), content=b"not even JSON")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_nothing_is_told_without_a_key(hub: Hub) -> None:
    """What exists and what does not are refused alike."""
    for path in ("/", "/api/v1/nothing", "/api/v1/sessions", "/metrics", "/docs/", "/health"):
        assert httpx.get(hub.url + path).status_code == 401


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
def test_the_open_paths_answer_without_a_key(hub: Hub, path: str) -> None:
    assert httpx.get(hub.url + path).status_code == 200
    refused = httpx.post(hub.url + path)
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET"


def test_both_headers_carry_a_key(hub: Hub, keys: dict[str, str]) -> None:
    url, key = f"{hub.url}/api/v1/sessions", keys["read"]
    assert httpx.get(url, headers={"X-API-Key": key}).status_code == 200
    assert httpx.get(url, headers={"Authorization": f"bearer {key}"}).status_code == 200
    both = {"X-API-Key": key, "Authorization": f"Bearer {keys['write']}"}
    assert httpx.get(url, headers=both).status_code == 401


def test_a_revoked_or_expired_key_is_refused(hub: Hub) -> None:
    made = hub.make_key("read")
    with hub.as_(made["key"]) as client:
        assert client.get("/api/v1/sessions").status_code == 200
        assert hub.client.delete(f"/api/v1/keys/{made['id']}").status_code == 204
        assert client.get("/api/v1/sessions").status_code == 401


def test_a_key_reaches_its_projects_only(hub: Hub) -> None:
    mine, other = hub.make_project("granted/one"), hub.make_project("granted/two")
    made = hub.make_key("read", "write", projects=["granted/one"])
    with hub.as_(made["key"]) as client:
        assert client.get(f"/api/v1/projects/{mine}").status_code == 200
        for path in (f"/api/v1/projects/{other}", f"/api/v1/projects/{SOME_ID}"):
            refused = client.get(path)
            assert (refused.status_code, refused.json()["code"]) == (404, "project_not_found")
        body = {"project": other, "title": "not mine"}
        assert client.post("/api/v1/sessions", json=body).status_code == 404
        assert client.get("/api/v1/sessions", params={"project": other}).status_code == 404
        listed = client.get("/api/v1/projects").json()["items"]
        assert [project["id"] for project in listed] == [mine]


@pytest.mark.parametrize("field", ["tenant_id", "owner", "seq", "actor", "trust"])
def test_no_body_says_who_or_where_it_is(hub: Hub, field: str) -> None:
    hub.make_project("granted/one")
    body = {"project": "granted/one", "title": "t", field: SOME_ID}
    refused = hub.client.post("/api/v1/sessions", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, ["body", field])
