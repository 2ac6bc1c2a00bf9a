"""What clients should not send: each gets its code, nothing is stored, the hub goes on."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub

JSON = {"Content-Type": "application/json"}
UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def project(hub: Hub) -> str:
    return hub.make_project(f"bad/{uuid.uuid4().hex[:8]}")


@pytest.fixture(autouse=True)
def nothing_is_stored(hub: Hub, project: str) -> Iterator[None]:
    """Whatever a test here sends leaves the log as it was."""
    path = f"/api/v1/projects/{project}"
    before = hub.client.get(path).json()["head"]
    yield
    assert hub.client.get(path).json()["head"] == before
    assert hub.client.get("/health/ready").status_code == 200


def sent(hub: Hub, own: str, **given: Any) -> httpx.Response:
    body = {"project": own, "title": "t", **given}
    return hub.client.post("/api/v1/sessions", json=body)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"project": "no/such"}, "project_not_found"),
        ({"project": UNKNOWN}, "project_not_found"),
        ({"project": "../../etc/passwd"}, "project_not_found"),
        ({"project": ""}, "invalid_input"),
        ({"id": "1"}, "invalid_id"),
        ({"id": "01900000-0000-7000-8000-00000000000g"}, "invalid_id"),
        ({"id": 5}, "invalid_input"),
        ({"id": "{01900000-0000-7000-8000-000000000000}"}, "invalid_id"),
        ({"started_at": "2026-11-21T12:00:00"}, "invalid_time"),
        ({"started_at": "2026-02-30T12:00:00Z"}, "invalid_time"),
        ({"started_at": "0001-01-01T00:00:00+23:59"}, "invalid_time"),
        ({"started_at": "yesterday"}, "invalid_time"),
        ({"started_at": 1_700_000_000}, "invalid_input"),
        ({"title": ""}, "invalid_input"),
        ({"title": None}, "invalid_input"),
        ({"title": "a\nb"}, "invalid_input"),
        ({"title": "a\x00b"}, "invalid_input"),
        ({"title": "x" * 501}, "invalid_input"),
        ({"description": "a\x00b"}, "invalid_text"),
        ({"description": "x" * 1_000_001}, "invalid_input"),
        ({"unknown": 1}, "invalid_input"),
        ({"privacy_level": "SECRET"}, "invalid_input"),
        ({"tags": ["x"] * 51}, "invalid_input"),
        ({"tags": "x"}, "invalid_input"),
        ({"messages": [{"role": "user", "text": ""}]}, "invalid_input"),
        ({"messages": [{"role": "god", "text": "x"}]}, "invalid_input"),
        ({"messages": [{"role": "user", "text": "x" * 2_000_000}]}, "invalid_input"),
        ({"messages": [{"role": "user", "text": "x"}] * 1_001}, "invalid_input"),
        ({"messages": [{"role": "user", "text": "x", "metadata": {"a": "\x00"}}]}, "invalid_text"),
        ({"metadata": {"k": "x" * 70_000}}, "invalid_input"),
        ({"metadata": {"k": 2**63}}, "invalid_input"),
        ({"metadata": [1]}, "invalid_input"),
        ({"files_changed": ["x" * 1_025]}, "invalid_input"),
        ({"parent_session_id": UNKNOWN}, "not_found"),
    ],
)
def test_a_session_that_is_wrong(hub: Hub, project: str, given: dict[str, Any], code: str) -> None:
    refused = sent(hub, project, **given)
    status = 404 if code.endswith("not_found") else 422
    found = checked(refused, status)
    assert found["code"] == code
    assert found["request_id"] == refused.headers["x-request-id"]


def test_every_value_that_is_wrong_is_named(hub: Hub, project: str) -> None:
    messages = [{"role": "user", "text": "x"}, {"role": "user", "text": "x", "created_at": "now"}]
    found = checked(sent(hub, project, messages=messages, id="1"), 422)
    assert [entry["loc"] for entry in found["errors"]] == [
        ["body", "id"],
        ["body", "messages", 1, "created_at"],
    ]
    assert [entry["code"] for entry in found["errors"]] == ["invalid_id", "invalid_time"]


@pytest.mark.parametrize(
    "slug",
    [
        "../x", "a/../b", "/etc", "a//b", "A/b", "a b", ".", "..", "a/.", "-a", "a\x00", "ä",
        "a/", "%2e%2e", "x" * 201, "", "a\\b", "C:\\x", "a\n", "~root", "$HOME",
    ],
)  # fmt: skip
def test_tricks_in_slugs(hub: Hub, slug: str) -> None:
    refused = hub.client.post("/api/v1/projects", json={"slug": slug})
    assert checked(refused, 422)["code"] == "invalid_slug"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null garbage", b"\xff\xfe{}", b'{"title": "\xff"}', b'{"title": "\\ud800"}',
        b'{"metadata": {"a": NaN}}', b'{"metadata": {"a": Infinity}}', b"[" * 100_000,
        b'{"metadata":' + b'{"a":' * 70 + b"1" + b"}" * 71, b'{"metadata": {"a": 1e999}}',
        b'{"title": "a\x00b"}',
    ],
    ids=lambda body: repr(body[:24]),
)  # fmt: skip
def test_bodies_that_are_not_json(hub: Hub, body: bytes) -> None:
    refused = hub.client.post("/api/v1/sessions", content=body, headers=JSON)
    assert checked(refused, 400)["code"] == "invalid_json"


@pytest.mark.parametrize("body", [b"null", b"1", b'"text"', b"[]", b"true"])
def test_json_that_is_no_object(hub: Hub, body: bytes) -> None:
    refused = hub.client.post("/api/v1/sessions", content=body, headers=JSON)
    assert checked(refused, 422)["code"] == "invalid_input"


@pytest.mark.parametrize("depth", [33, 60])
def test_metadata_that_is_deep(hub: Hub, project: str, depth: int) -> None:
    nested: Any = 1
    for _ in range(depth):
        nested = {"a": nested}
    assert checked(sent(hub, project, metadata=nested), 422)["code"] == "invalid_input"


@pytest.mark.parametrize(
    "media_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/json; charset=utf-16", "application/xml", "application/jsonp"],
)  # fmt: skip
def test_bodies_of_another_type(hub: Hub, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    refused = hub.client.post("/api/v1/sessions", content=b"{}", headers=headers)
    assert checked(refused, 415)["code"] == "unsupported_media_type"


def test_a_million_form_fields(hub: Hub) -> None:
    body = b"&".join(b"a%d=1" % number for number in range(1_000_000))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = hub.client.post("/api/v1/sessions", content=body, headers=headers)
    assert checked(refused, 415)["code"] == "unsupported_media_type"


def test_gzip_is_read_and_bombs_are_not(hub: Hub) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    packed = gzip.compress(json.dumps({"query": "parser"}).encode())
    answer = hub.client.post("/api/v1/search", content=packed, headers=headers)
    checked(answer, 200)
    bomb = gzip.compress(b" " * 200_000_000)
    refused = hub.client.post("/api/v1/search", content=bomb, headers=headers)
    assert checked(refused, 413)["code"] == "payload_too_large"


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/api/v1/sessions", {"limit": 0}),
        ("/api/v1/sessions", {"limit": 201}),
        ("/api/v1/sessions", {"limit": "x"}),
        ("/api/v1/sessions", {"since": "2026-11-21"}),
        ("/api/v1/sessions", {"status": "asleep"}),
        ("/api/v1/sessions", {"unknown": "1"}),
        ("/api/v1/sessions", {"tag": "a\x00b"}),
        ("/api/v1/search", {}),
        ("/api/v1/search", {"q": ""}),
        ("/api/v1/search", {"q": "x" * 10_001}),
        ("/api/v1/search", {"q": "a\x00b"}),
        ("/api/v1/sessions/not-an-id", {}),
        (f"/api/v1/sessions/{UNKNOWN}", {"as_of": -1}),
        (f"/api/v1/projects/{UNKNOWN}/events", {"after": -1}),
        (f"/api/v1/projects/{UNKNOWN}/events", {"after": 2**63}),
        (f"/api/v1/sessions/{UNKNOWN}/messages", {"after": -2}),
    ],
)
def test_parameters_that_are_wrong(hub: Hub, path: str, parameters: dict[str, Any]) -> None:
    refused = hub.client.get(path, params=parameters)
    assert checked(refused, 422)["code"].startswith("invalid_")


@pytest.mark.parametrize(
    "path",
    ["/api/v1/sessions/../keys", "/api/v1/sessions/%2e%2e/keys", "/api/v1//sessions",
     "/api/v1/sessions/", "/api/v2/sessions", "/static/../../etc/passwd", "/%00", "/a%0ab"],
)  # fmt: skip
def test_paths_that_are_not_there(hub: Hub, path: str) -> None:
    with httpx.Client(headers=hub.client.headers) as client:
        refused = client.send(httpx.Request("GET", hub.url + path, headers=client.headers))
    allowed = {401, 404, 422} if "keys" not in path else {200, 404}
    assert refused.status_code in allowed
    if refused.status_code == 404:
        assert refused.json()["code"] == "not_found"


def test_other_methods_say_what_is_allowed(hub: Hub) -> None:
    refused = hub.client.put("/api/v1/sessions", json={})
    assert checked(refused, 405, described=False)["code"] == "method_not_allowed"
    assert refused.headers["allow"] == "GET, POST"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
fields = st.sampled_from(
    ["project", "title", "messages", "tags", "metadata", "id", "started_at", "privacy_level", "x"]
)


@given(body=st.dictionaries(fields, json_values, max_size=5))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_answered(hub: Hub, body: dict[str, Any]) -> None:
    text = json.dumps(body).encode("utf-8", "surrogatepass")
    answer = hub.client.post("/api/v1/sessions", content=text, headers=JSON)
    assert answer.status_code in {400, 404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_problem_tells_nothing_of_the_inside(hub: Hub, project: str) -> None:
    for answer in (sent(hub, project, id="1"), hub.client.get(f"/api/v1/sessions/{UNKNOWN}")):
        text = answer.text.lower()
        assert not [word for word in ("sql", "select", "traceback", ".py", "/work") if word in text]
