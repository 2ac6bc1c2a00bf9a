"""Keys, health, status, figures, verify, rebuild, export and import over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub, serving

START = b"<the first line of an export>"
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def filled(hub: Hub) -> Hub:
    """The hub with a session in it."""
    hub.make_project("operation/one")
    turns = [{"role": "user", "text": "hello"}, {"role": "assistant", "text": "hello"}]
    body = {"project": "operation/one", "title": "Greeting", "messages": turns}
    checked(hub.client.post("/api/v1/sessions", json=body), 201)
    return hub


def test_keys(hub: Hub) -> None:
    made = checked(hub.client.post("/api/v1/keys", json={"name": "ci", "scopes": ["read"]}), 201)
    listed = checked(hub.client.get("/api/v1/keys"), 200)["items"]
    assert {"ci"} <= {key["name"] for key in listed}
    secret = made["key"].split("_", 2)[2]
    assert secret not in json.dumps(listed)
    assert hub.client.delete(f"/api/v1/keys/{made['id']}").status_code == 204
    unknown = hub.client.delete("/api/v1/keys/0000unknown")
    assert checked(unknown, 404)["code"] == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "", "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"},
        {"name": "x", "scopes": ["read"], "projects": []},
    ],
)
def test_a_key_that_is_wrong(hub: Hub, body: dict[str, object]) -> None:
    assert checked(hub.client.post("/api/v1/keys", json=body), 422)["code"] == "invalid_input"


def test_health(hub: Hub) -> None:
    assert checked(httpx.get(f"{hub.url}/health/live"), 200) == {"status": "ok"}
    assert checked(httpx.get(f"{hub.url}/health/ready"), 200)["status"] == "ok"


def test_status(filled: Hub) -> None:
    status = checked(filled.client.get("/api/v1/status"), 200)
    assert status["index"]
    assert status["uptime_s"] >= 0


def test_a_hub_without_its_model_works_and_says_what_is_missing(tmp_path: Path) -> None:
    given = {"embedding_provider": "onnx", "model_dir": tmp_path / "none"}
    with serving(tmp_path, **given) as hub:
        status = checked(hub.client.get("/api/v1/status"), 200)
        assert [part["part"] for part in status["degraded"]] == ["vector"]
        assert status["degraded"][0]["mend"] == "memctx model install"
        assert checked(hub.client.get("/health/ready"), 200)["status"] == "degraded"
        hub.make_project("operation/degraded")


def test_figures(filled: Hub) -> None:
    answer = filled.client.get("/metrics")
    assert answer.status_code == 200
    assert (
        'memctx_http_requests_total{method="POST",route="/api/v1/sessions",status="201"}'
        in answer.text
    )
    assert "operation/one" not in answer.text


def test_verify_and_rebuild(filled: Hub) -> None:
    assert checked(filled.client.post("/api/v1/admin/verify"), 200)["ok"] is True
    rebuilt = checked(filled.client.post("/api/v1/admin/rebuild"), 200)
    assert rebuilt["equal"] is True
    assert rebuilt["before"] == rebuilt["after"]


def test_an_export_imports_to_the_same(filled: Hub, tmp_path: Path) -> None:
    exported = filled.client.get("/api/v1/export")
    assert exported.headers["content-type"] == "application/x-ndjson"
    lines = exported.content.splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    with serving(tmp_path) as other:
        answer = other.client.post("/api/v1/import", content=exported.content, headers=NDJSON)
        imported = checked(answer, 200)
        assert imported["events"] > 0
        again = other.client.post("/api/v1/import", content=exported.content, headers=NDJSON)
        assert checked(again, 200)["events"] == 0
        given = {"project": "operation/one"}
        for path in ("/api/v1/sessions", "/api/v1/tags"):
            here = filled.client.get(path, params=given).json()
            there = other.client.get(path, params=given).json()
            assert here == there


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON\n",
        b"{}\n",
        b"[]\n",
        b'"text"\n',
        b"\xff\xfe\n",
        b"\x00\x01\x02 binary\n",
        START,
        START + b'{"event": {}}\n',
        START + b'{"event": null}\n',
        START + b'{"event": {"id": NaN}}\n',
        START + b'{"project": {"id": "../../etc", "epoch": 1}}\n',
        START + b'{"end": {}}\n{"end": {}}\nmore\n',
        START + b"[" * 100_000 + b"\n",
        START + b'{"event": ' + b'{"a":' * 5_000 + b"\n",
    ],
    ids=lambda body: repr(body[-24:]),
)
def test_an_import_that_is_no_export(hub: Hub, body: bytes) -> None:
    first = hub.client.get("/api/v1/export").content.splitlines()[0]
    body = body.replace(START, first + b"\n")
    refused = hub.client.post("/api/v1/import", content=body, headers=NDJSON)
    assert refused.status_code in {400, 422}, refused.text
    checked(refused, refused.status_code)


def test_an_import_of_another_type(hub: Hub) -> None:
    refused = hub.client.post("/api/v1/import", content=b"{}", headers={"Content-Type": "a/b"})
    assert checked(refused, 415)["code"] == "unsupported_media_type"
