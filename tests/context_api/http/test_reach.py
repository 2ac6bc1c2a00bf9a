"""What a key reaches, for every route: nothing of another tenant, nothing without a grant."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from context_api.http.access import SCOPES
from memory_core.ids import uuid7
from tests.context_api.http.serving import Hub
from tests.context_api.http.test_access import KEYED

CANARY = "quokkawombat"
OTHERS = ("another tenant's admin", "another tenant's reader", "no grant", "no grant, reads")
TIMED = 150
NOISE = 2.0
"""Two medians of as many equal requests differ by less, also beside other work."""

MISSING = (404, "not_found"), (404, "project_not_found")

# Routes that name no record of somebody else: each caller has its own answer.
OWN = {
    ("GET", "/api/v1/projects"), ("POST", "/api/v1/projects"), ("GET", "/api/v1/search"),
    ("GET", "/api/v1/keys"), ("POST", "/api/v1/keys"), ("GET", "/api/v1/status"),
    ("GET", "/api/v1/audit"), ("POST", "/api/v1/audit/verify"),
    ("POST", "/api/v1/admin/verify"), ("POST", "/api/v1/admin/rebuild"),
    ("POST", "/api/v1/admin/index/verify"), ("POST", "/api/v1/admin/index/repair"),
    ("POST", "/api/v1/admin/index/rebuild"),
    ("GET", "/api/v1/export"), ("POST", "/api/v1/import"), ("GET", "/metrics"),
}  # fmt: skip
# Care of a vector server, which not every hub has.
CARE = "/api/v1/admin/index"
# Nobody's own; the hub of these tests has none (tests/context_api/http/test_model_files.py).
MODEL = "/api/v1/model"
LAST = ("message", "checkpoint", "pattern", "session")


@dataclass
class Stock:
    """Records of one tenant, each with the canary in it, and keys that must not see them."""

    ids: dict[str, str]
    keys: dict[str, str]
    other_project: str
    export: bytes
    bodies: dict[tuple[str, str], Any] = field(default_factory=dict)

    def request(self, method: str, path: str) -> dict[str, Any]:
        """Returns a valid request for a route that names the canary's records."""
        project = self.ids["project_id"]
        filled = path
        for name, value in self.ids.items():
            filled = filled.replace(f"{{{name}}}", value)
        request: dict[str, Any] = {"method": method, "url": filled}
        if (method, path) == ("POST", "/api/v1/import"):
            kind = {"Content-Type": "application/x-ndjson"}
            return {**request, "content": self.export, "headers": kind}
        body = self.bodies.get((method, path.removeprefix("/api/v1")))
        if body is not None:
            request["json"] = body
        elif path.startswith(CARE) or (
            method == "GET" and (method, path) not in OWN and "{" not in path
        ):
            request["params"] = {"project": project}
        if path.endswith("/sync/pull"):
            request["params"] = {"replica": uuid7()}
        if path == "/api/v1/search" and method == "GET":
            request["params"] = {"q": "what is remembered", "project": project}
        return request


@pytest.fixture(scope="module")
def stock(hub: Hub) -> Stock:
    project = hub.make_project("reach/hidden")
    other = hub.make_project("reach/open")
    body = {
        "project": project, "title": CANARY, "tags": [CANARY],
        "messages": [{"role": "user", "text": f"{CANARY} lives here", "id": uuid7()}],
    }  # fmt: skip
    session = made(hub, "/sessions", body)
    message = hub.client.get(f"/api/v1/sessions/{session}/messages").json()["items"][0]["id"]
    checkpoint = made(hub, "/checkpoints", {"project": project, "description": CANARY})
    lesson = {"project": project, "name": CANARY, "pattern_type": "error", "body": CANARY}
    pattern = made(hub, "/patterns", lesson)
    tenant = hub.client.post("/api/v1/tenants", json={"name": f"other {uuid7()}"}).json()
    with hub.as_(tenant["key"]) as theirs:
        reader = theirs.post("/api/v1/keys", json={"name": "r", "scopes": ["read"]}).json()
        export = theirs.get("/api/v1/export").content
    ids = {
        "name": "model.onnx",
        "project_id": project, "session_id": session, "message_id": message,
        "checkpoint_id": checkpoint, "pattern_id": pattern,
        "conflict_id": disputed(hub, session),
        "key_id": hub.make_key("read", name=CANARY)["id"],
    }  # fmt: skip
    keys = {
        "another tenant's admin": tenant["key"],
        "another tenant's reader": reader["key"],
        "no grant": hub.make_key("read", "write", projects=["reach/open"])["key"],
        "no grant, reads": hub.make_key("read", projects=["reach/open"])["key"],
    }
    return Stock(ids, keys, other, export, bodies_about(project, session))


def disputed(hub: Hub, session: str) -> str:
    """Changes a session on two sides and returns the id of the conflict."""
    path = f"/api/v1/sessions/{session}"
    base = hub.client.get(path).json()["last_op"]
    for number in (1, 2):
        body = {"title": f"{CANARY} {number}", "base": base}
        assert hub.client.patch(path, json=body).status_code == 200
    [conflict] = hub.client.get("/api/v1/conflicts").json()["items"]
    return str(conflict["id"])


def made(hub: Hub, path: str, body: dict[str, Any]) -> str:
    answer = hub.client.post(f"/api/v1{path}", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def bodies_about(project: str, session: str) -> dict[tuple[str, str], Any]:
    turn = {"role": "user", "text": "added"}
    return {
        ("POST", "/projects"): {"slug": "reach/hidden"},
        ("PATCH", "/projects/{project_id}"): {"slug": "reach/hidden"},
        ("POST", "/sessions"): {"project": project, "title": "t"},
        ("PATCH", "/sessions/{session_id}"): {"description": "changed"},
        ("POST", "/sessions/{session_id}/messages"): {"messages": [turn]},
        ("POST", "/checkpoints"): {"project": project, "description": "d", "session_id": session},
        ("POST", "/patterns"): {"project": project, "name": "n", "pattern_type": "code"},
        ("PATCH", "/patterns/{pattern_id}"): {"description": "changed"},
        ("POST", "/patterns/{pattern_id}/outcomes"): {"success": True},
        ("POST", "/search"): {"query": "what is remembered", "projects": [project]},
        ("POST", "/context"): {"project": project, "query": "what is remembered"},
        ("POST", "/keys"): {"name": "made", "scopes": ["read"]},
        ("POST", "/keys/{key_id}/rotate"): {},
        ("POST", "/tenants"): {"name": "made by somebody"},
        ("POST", "/conflicts/{conflict_id}/resolve"): {"resolution": "pushed"},
        ("POST", "/projects/{project_id}/sync/digests"): {"ranges": [[1, 2]]},
        ("POST", "/projects/{project_id}/sync/events"): {"seqs": [1, 2]},
        ("POST", "/projects/{project_id}/sync/vectors"): {"hashes": ["0" * 32]},
        ("POST", "/projects/{project_id}/sync/push"): {
            "protocol": 1, "replica": {"id": uuid7()}, "operations": [],
        },
    }  # fmt: skip


def code_of(answer: httpx.Response) -> str:
    return str(answer.json().get("code")) if "problem" in answer.headers["content-type"] else ""


def held(who: str) -> set[str]:
    if "admin" in who:
        return {"read", "write", "admin", "metrics"}
    return {"read"} if "read" in who else {"read", "write"}


@pytest.mark.parametrize("who", OTHERS)
@pytest.mark.parametrize(("method", "path"), KEYED)
def test_a_key_gets_nothing_of_others(
    hub: Hub, stock: Stock, method: str, path: str, who: str
) -> None:
    with hub.as_(stock.keys[who]) as client:
        answer = client.request(**stock.request(method, path))
    assert CANARY not in answer.text
    assert answer.status_code < 500, answer.text
    found = (answer.status_code, code_of(answer))
    if SCOPES[method, path] not in held(who):
        assert found == (403, "forbidden")
    elif path.startswith(CARE):
        assert found in {(409, "conflict"), *MISSING}, answer.text
    elif (method, path) == ("GET", "/api/v1/search") or (method, path) not in OWN:
        assert found in MISSING, answer.text
    elif (method, path, "grant" in who) == ("POST", "/api/v1/projects", True):
        assert found == (403, "forbidden")
    else:
        assert answer.status_code in {200, 201}, answer.text


@pytest.mark.parametrize("who", OTHERS)
def test_lists_without_a_name_hold_nothing_of_others(hub: Hub, stock: Stock, who: str) -> None:
    lists = ("projects", "sessions", "checkpoints", "patterns", "tags", "conflicts")
    with hub.as_(stock.keys[who]) as client:
        for name in lists:
            assert CANARY not in client.get(f"/api/v1/{name}").text
        for query in (CANARY, "lives here", "what is remembered"):
            found = client.post("/api/v1/search", json={"query": query})
            assert found.status_code == 200
            assert found.json()["hits"] == []


def test_what_is_there_and_what_is_not_are_refused_alike(hub: Hub, stock: Stock) -> None:
    """An answer must not tell that an id exists; only the id itself differs."""
    unknown = {name: uuid7() for name in stock.ids} | {"key_id": "0123456789ab"}
    with hub.as_(stock.keys["another tenant's admin"]) as client:
        for method, path in KEYED:
            if "{" not in path or path.startswith(MODEL):
                continue
            real = stock.request(method, path)
            guess = Stock(unknown, {}, "", b"", stock.bodies).request(method, path)
            answers = [client.request(**each) for each in (real, guess)]
            told = [
                plain(answer, ids)
                for answer, ids in zip(answers, (stock.ids, unknown), strict=True)
            ]
            assert told[0] == told[1], (method, path)


def test_it_takes_as_long_to_refuse_what_is_there(hub: Hub, stock: Stock) -> None:
    """Asked in turn, so that what else the machine does slows both alike."""
    took: dict[bool, list[float]] = {True: [], False: []}
    with hub.as_(stock.keys["another tenant's admin"]) as client:
        for number in range(2 * TIMED):
            is_there = number % 2 == 0
            session = stock.ids["session_id"] if is_there else uuid7()
            began = time.perf_counter()
            answer = client.get(f"/api/v1/sessions/{session}")
            took[is_there].append(time.perf_counter() - began)
            assert answer.status_code == 404
    there, nowhere = (statistics.median(took[which]) for which in (True, False))
    assert max(there, nowhere) / min(there, nowhere) < NOISE


def plain(answer: httpx.Response, ids: dict[str, str]) -> Any:
    text = answer.text
    for name, value in ids.items():
        text = text.replace(value, name)
    return {**json.loads(text), "request_id": None}


def test_an_admin_of_some_projects_cannot_be_made(hub: Hub, stock: Stock) -> None:
    body = {"name": "x", "scopes": ["admin"], "projects": ["reach/open"]}
    refused = hub.client.post("/api/v1/keys", json=body)
    assert (refused.status_code, code_of(refused)) == (422, "invalid_input")


def ordered() -> Iterator[tuple[str, str]]:
    """Yields every route, what removes a record last, and its parent after it."""

    def rank(route: tuple[str, str]) -> int:
        method, path = route
        if method != "DELETE":
            return 0
        return 1 + next((i for i, name in enumerate(LAST) if f"{{{name}_id}}" in path), 0)

    yield from sorted(KEYED, key=rank)


def test_the_same_requests_are_answered_to_those_who_may(hub: Hub, stock: Stock) -> None:
    """Otherwise the refusals above could have another reason."""
    for method, path in ordered():
        if path.endswith("/stream") or path.startswith((CARE, MODEL)):
            continue
        answer = hub.client.request(**stock.request(method, path))
        assert answer.status_code in {200, 201, 204}, (method, path, answer.text)
