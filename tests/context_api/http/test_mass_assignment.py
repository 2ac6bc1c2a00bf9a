"""Who, where and when a record is, is the hub's to say: nobody sets it with a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from context_api.http.app import openapi_document
from context_api.http.problem import MAX_ERRORS
from memory_core.ids import uuid7
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub, serving
from tests.context_api.http.test_reach import Stock, stock

__all__ = ["stock"]

DOCUMENT = openapi_document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
RECORDS = ("Project", "Session", "Message", "Checkpoint", "Pattern", "Key", "Tenant", "Event")
# Words that other services take who asks from, or what is trusted.
STRANGE = {"tenant_id", "tenant", "user_id", "actor", "trust", "secret_hash", "is_admin", "via"}
SHOWN = STRANGE.union(*(SCHEMAS[name]["properties"] for name in RECORDS))


def groups(fields: set[str]) -> Iterator[list[str]]:
    """Yields ``fields``, as many at a time as one answer names."""
    found = sorted(fields)
    for start in range(0, len(found), MAX_ERRORS):
        yield found[start : start + MAX_ERRORS]


def named(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    return found


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub on a file: what is refused here never reaches a database."""
    with serving(tmp_path_factory.mktemp("hub")) as running:
        yield running


def bodied() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields every route that takes a JSON object, with its schema."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                yield method.upper(), path, named(content["application/json"]["schema"])


BODIED = list(bodied())
# A replica may be newer than the hub, and must be told so before its words are judged. What it says
# beyond the hub's words is left out.
TOLERANT = {("POST", "/api/v1/projects/{project_id}/sync/push")}
ROUTES = [(method, path) for method, path, _ in BODIED]


def test_every_route_with_a_body_is_here(stock: Stock) -> None:
    known = {(method, f"/api/v1{path}") for method, path in stock.bodies}
    assert set(ROUTES) == known
    strict = {
        (method, path)
        for method, path, schema in BODIED
        if schema.get("additionalProperties") is False
    }
    assert strict == set(ROUTES) - TOLERANT


@pytest.mark.parametrize(("method", "path", "schema"), BODIED, ids=[" ".join(r) for r in ROUTES])
def test_no_body_sets_what_is_not_the_client_s(
    hub: Hub, stock: Stock, method: str, path: str, schema: dict[str, Any]
) -> None:
    request = stock.request(method, path)
    before = hub.client.get("/api/v1/status").json()["index"]
    for fields in groups(SHOWN - schema["properties"].keys()):
        body = {**request["json"], **dict.fromkeys(fields, uuid7())}
        answer = hub.client.request(method, request["url"], json=body)
        if (method, path) in TOLERANT:
            checked(answer, 200)
            continue
        errors = checked(answer, 422)["errors"]
        assert {tuple(error["loc"]) for error in errors} == {("body", name) for name in fields}
    heads = [one["head"] for one in hub.client.get("/api/v1/status").json()["index"]]
    assert heads == [one["head"] for one in before]


@pytest.mark.parametrize("path", ["/sessions", "/sessions/{session_id}/messages"])
def test_no_message_sets_it_either(hub: Hub, stock: Stock, path: str) -> None:
    request = stock.request("POST", f"/api/v1{path}")
    message = {"role": "user", "text": "t"}
    allowed = set(SCHEMAS["NewMessage"]["properties"])
    for fields in groups(SHOWN - allowed):
        body = {**request["json"], "messages": [{**message, **dict.fromkeys(fields, uuid7())}]}
        errors = checked(hub.client.post(request["url"], json=body), 422)["errors"]
        assert {error["loc"][-1] for error in errors} == set(fields)


def test_no_parameter_names_another_tenant_or_person(hub: Hub) -> None:
    for path in ("projects", "sessions", "checkpoints", "patterns", "tags", "search", "keys"):
        for name in ("tenant_id", "user_id", "actor", "owner"):
            answer = hub.client.get(f"/api/v1/{path}", params={"q": "x", name: uuid7()})
            # Where no parameter is known at all, none is read.
            if answer.status_code != 200 or path not in {"tags", "keys"}:
                assert answer.status_code == 422, (path, name, answer.text)


def test_no_header_says_who_or_whose_it_is(hub: Hub) -> None:
    made = hub.client.post("/api/v1/tenants", json={"name": f"other {uuid7()}"}).json()
    hub.make_project("headers/one")
    key = hub.make_key("read", "write", owner="ada")["key"]
    claims = {
        "X-Tenant-Id": made["id"], "X-Tenant": made["id"], "X-User-Id": "grace",
        "X-User": "grace", "X-Actor": "grace", "X-Owner": "grace", "X-Forwarded-User": "grace",
        "X-Remote-User": "grace", "X-Scopes": "admin", "X-Original-URL": "/api/v1/keys",
        "X-HTTP-Method-Override": "DELETE", "Forwarded": "for=127.0.0.1", "Cookie": "user=grace",
    }  # fmt: skip
    with hub.as_(key) as client:
        body = {"project": "headers/one", "title": "mine"}
        saved = checked(client.post("/api/v1/sessions", json=body, headers=claims), 201)
        assert saved["owner"] == "ada"
        assert client.get("/api/v1/keys", headers=claims).status_code == 403
        read = client.get(f"/api/v1/sessions/{saved['id']}", headers=claims)
        assert read.json()["title"] == "mine"
    with hub.as_(made["key"]) as theirs:
        assert theirs.get("/api/v1/projects").json()["items"] == []
