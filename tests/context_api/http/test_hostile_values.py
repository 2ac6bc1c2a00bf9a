"""Values of bodies and queries replaced by hostile ones: refused, or taken, and never a failure."""

from __future__ import annotations

import copy
import itertools
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.context_api.http.serving import Hub
from tests.support.databases import HubDatabase, opened

UNKNOWN = "01900000-0000-7000-8000-000000000000"
DEEP = b"[" * 63 + b"]" * 63
# As they stand in a body: some of them no JSON library would write.
VALUES = [
    b"NaN", b"-Infinity", b"1e999", b"-0.0", b"1e308", b"9" * 5_000, b"%d" % 2**63,
    b"%d" % -(2**63), b"%d" % 2**31, b"0.1", b"true", b"null", b"[]", b"{}", b"[[]]", DEEP, b'""',
    b'"\\ud800"', b'"\\u0000"', b'"\\udc00\\ud800"', b'"\x00"', b'"\xed\xa0\x80"', b'"\xff"',
    b'"\\u202e\\u0007\\u001b[31m"', b'"%s%n"', b'"\' OR 1=1 --"', b'"../../etc/passwd"',
    b'"${jndi:ldap://x}"', b'"\xf0\x9f\xa6\x98"', b'"-1"', b'"' + b"x" * 50_000 + b'"',
    b'{"$ref": "#"}', b'{"__proto__": 1}',
]  # fmt: skip
TEXTS = ["\x00", "\ud800", "9" * 5_000, str(2**63), "-1", "NaN", "%00", "\u202e", "x" * 20_000, "'"]
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/projects"): {"slug": "acme/x", "remotes": ["https://example.org/x"]},
    ("PATCH", "/projects/{project}"): {"remotes": []},
    ("POST", "/sessions"): {
        "project": "{project}", "id": UNKNOWN, "title": "t", "description": "d", "agent": "a",
        "tags": ["x"], "metadata": {"a": 1}, "started_at": "2026-11-21T12:00:00Z",
        "messages": [{"role": "user", "text": "x", "author": "a", "source_id": "s"}],
    },
    ("PATCH", "/sessions/{session}"): {"title": "t", "base": UNKNOWN, "metadata": {"a": 1}},
    ("POST", "/sessions/{session}/messages"): {"messages": [{"role": "user", "text": "x"}]},
    ("POST", "/checkpoints"): {"project": "{project}", "description": "d", "next_steps": ["n"]},
    ("POST", "/patterns"): {"project": "{project}", "pattern_type": "code", "name": "n",
                            "confidence": 0.5, "citations": [{"path": "a"}]},
    ("POST", "/search"): {"query": "q", "projects": ["{project}"], "limit": 3, "as_of": 1,
                          "min_score": 0.1, "since": "2026-11-21T12:00:00Z", "explain": True},
    ("POST", "/context"): {"project": "{project}", "query": "q", "budget_tokens": 500},
    ("POST", "/keys"): {"name": "n", "scopes": ["read"], "projects": ["{project}"]},
    ("POST", "/keys/{key}/rotate"): {"overlap_hours": 1},
    ("POST", "/tenants"): {"name": "n", "owner": "o"},
}  # fmt: skip
QUERIES = {
    "/projects": ["limit", "cursor"],
    "/sessions": ["project", "limit", "cursor", "since", "tag", "status"],
    "/sessions/{session}": ["as_of"],
    "/sessions/{session}/messages": ["after", "limit"],
    "/projects/{project}/events": ["after", "limit"],
    "/search": ["q", "limit", "project", "as_of"],
    "/patterns": ["project", "limit", "cursor"],
    "/sessions/{hostile}": [],
    "/projects/{hostile}": [],
}
PLACE = "\ue000"
EACH = 2


@pytest.fixture(scope="module", params=["postgresql"])
def shared_database(request: pytest.FixtureRequest) -> Iterator[HubDatabase]:
    """The database that takes less: it knows no NUL and no lone surrogate."""
    with opened(request) as database:
        yield database


@pytest.fixture(scope="module")
def names(hub: Hub) -> dict[str, str]:
    """What stands for the names in paths and bodies."""
    slug = f"hostile/{uuid.uuid4().hex[:8]}"
    project = hub.make_project(slug)
    body = {"project": project, "title": "t", "messages": [{"role": "user", "text": "x"}]}
    session = hub.client.post("/api/v1/sessions", json=body).json()["id"]
    return {"project": project, "session": session, "key": hub.make_key("read")["id"]}


def replaced(body: Any) -> Iterator[Any]:
    """Yields ``body`` with each of its values in turn replaced by a mark."""
    yield PLACE
    if isinstance(body, dict | list):
        for place, inner in body.items() if isinstance(body, dict) else enumerate(body):
            for changed in replaced(inner):
                whole = copy.copy(body)
                whole[place] = changed
                yield whole


def is_answered(answer: httpx.Response) -> bool:
    """Says whether it was done or refused, and not a failure of the hub."""
    kind = answer.headers.get("content-type", "")
    if answer.status_code < 300:
        return kind.startswith("application/json") or answer.status_code == 204
    return 400 <= answer.status_code < 500 and kind == "application/problem+json"


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_no_value_of_a_body_is_more_than_refused(
    hub: Hub, names: dict[str, str], method: str, path: str
) -> None:
    text = json.dumps(BODIES[method, path])
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    url = f"/api/v1{path.format(**names)}"
    places = [*replaced(json.loads(text))]
    # Every place meets some of the values, every value some of the places.
    turns = itertools.cycle(VALUES)
    for body in places:
        before, after = json.dumps(body).encode().split(json.dumps(PLACE).encode())
        for value in itertools.islice(turns, max(EACH, len(VALUES) // len(places) + 1)):
            content = before + value + after
            answer = hub.client.request(
                method, url, content=content, headers={"Content-Type": "application/json"}
            )
            assert is_answered(answer), (content[:300], answer.status_code, answer.text[:300])
    assert hub.client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("path", QUERIES)
def test_no_value_of_a_query_is_more_than_refused(
    hub: Hub, names: dict[str, str], path: str
) -> None:
    for text in TEXTS:
        quoted = httpx.QueryParams({"x": text.encode("utf-8", "surrogatepass").decode("latin-1")})
        raw = str(quoted).partition("=")[2]
        url = f"/api/v1{path.format(**names, hostile=raw[:8_000] or 'x')}"
        for name in QUERIES[path] or ["nothing"]:
            answer = hub.client.get(f"{url}?{name}={raw}")
            assert is_answered(answer), (url, name, text[:20], answer.text[:300])
