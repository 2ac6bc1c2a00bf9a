"""Teams of their own behind one hub, and the keys that the settings name."""

from __future__ import annotations

from pathlib import Path

import pytest

from context_api.application.authenticate import hash_secret, split_token
from context_api.application.services import RootKey
from memory_core.ids import uuid7
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub, serving

METRICS_KEY = "mctx_metrics00001_" + "m" * 43


def test_a_tenant_is_made_once_and_listed(own_hub: Hub) -> None:
    before = checked(own_hub.client.get("/api/v1/tenants"), 200)["items"]
    assert [tenant["name"] for tenant in before] == ["default"]
    identity = uuid7()
    body = {"id": identity, "name": "Acme", "owner": "grace"}
    made = checked(own_hub.client.post("/api/v1/tenants", json=body), 201)
    assert made["id"] == identity
    for again in (body, {"name": "ACME"}, {"id": identity, "name": "other"}):
        refused = own_hub.client.post("/api/v1/tenants", json=again)
        assert checked(refused, 409)["code"] == "already_exists"
    with own_hub.as_(made["key"]) as theirs:
        assert theirs.post("/api/v1/projects", json={"slug": "acme/api"}).status_code == 201
        [key] = checked(theirs.get("/api/v1/keys"), 200)["items"]
        assert (key["owner"], key["scopes"]) == ("grace", ["admin"])
    listed = checked(own_hub.client.get("/api/v1/tenants"), 200)["items"]
    acme = next(tenant for tenant in listed if tenant["id"] == identity)
    assert (acme["projects"], acme["events"], acme["keys"]) == (1, 1, 1)


@pytest.mark.parametrize("scopes", [["admin"], ["read", "write"]])
def test_only_the_hubs_own_key_knows_that_there_are_tenants(hub: Hub, scopes: list[str]) -> None:
    with hub.as_(hub.make_key(*scopes)["key"]) as client:
        for answer in (
            client.get("/api/v1/tenants"),
            client.post("/api/v1/tenants", json={"name": "mine"}),
        ):
            assert checked(answer, 403)["code"] == "forbidden"
        some = {"tenant": uuid7()}
        assert client.get("/api/v1/export", params=some).status_code == 403
        body = {"content": b"x", "headers": {"Content-Type": "application/x-ndjson"}}
        assert client.post("/api/v1/import", params=some, **body).status_code == 403


def test_the_same_slug_belongs_to_each_tenant(own_hub: Hub) -> None:
    ours = own_hub.make_project("same/slug")
    made = own_hub.client.post("/api/v1/tenants", json={"name": "b"}).json()
    with own_hub.as_(made["key"]) as theirs:
        answer = theirs.post("/api/v1/projects", json={"slug": "same/slug"})
        assert answer.status_code == 201
        assert answer.json()["id"] != ours


def test_an_export_of_another_tenant_needs_that_it_is_there(own_hub: Hub) -> None:
    refused = own_hub.client.get("/api/v1/export", params={"tenant": uuid7()})
    assert checked(refused, 404)["code"] == "not_found"


def test_the_metrics_key_reads_figures_and_nothing_else(tmp_path: Path) -> None:
    with serving(tmp_path) as hub:
        services = hub.app.state.services
        key_id, secret = split_token(METRICS_KEY)
        own = RootKey(
            key_id=key_id, secret_hash=hash_secret(secret),
            tenant_id=services.tenant_id, owner="metrics",
        )  # fmt: skip
        object.__setattr__(services, "metrics_key", own)
        hub.make_project("metrics/one")
        with hub.as_(METRICS_KEY) as client:
            assert client.get("/metrics").status_code == 200
            for path in ("projects", "sessions", "keys", "status", "export", "tenants"):
                assert client.get(f"/api/v1/{path}").status_code == 403
        with hub.as_(METRICS_KEY[:-1] + "x") as client:
            assert client.get("/metrics").status_code == 401
        with hub.as_(hub.make_key("read", "write")["key"]) as client:
            assert client.get("/metrics").status_code == 403


def test_ids_and_idempotency_keys_belong_to_a_tenant(own_hub: Hub) -> None:
    """Using what another tenant used neither shows its result nor is blocked by it."""
    made = own_hub.client.post("/api/v1/tenants", json={"name": "b"}).json()
    session, message = uuid7(), uuid7()
    once = {"Idempotency-Key": "the same for both"}
    with own_hub.as_(made["key"]) as theirs:
        for client, word in ((own_hub.client, "quokka"), (theirs, "wombat")):
            assert client.post("/api/v1/projects", json={"slug": "same/slug"}).status_code == 201
            turn = {"id": message, "role": "user", "text": word}
            body = {"id": session, "project": "same/slug", "title": word, "messages": [turn]}
            answer = client.post("/api/v1/sessions", json=body, headers=once)
            assert checked(answer, 201)["title"] == word
            state = {"project": "same/slug", "description": word}
            for _ in range(2):
                answer = client.post(
                    "/api/v1/checkpoints", json=state, headers={"Idempotency-Key": "again"}
                )
                assert checked(answer, 201)["description"] == word
        for client, own, other in (
            (own_hub.client, "quokka", "wombat"),
            (theirs, "wombat", "quokka"),
        ):
            for path in (
                f"/api/v1/sessions/{session}", f"/api/v1/sessions/{session}/messages",
                f"/api/v1/messages/{message}", "/api/v1/checkpoints", "/api/v1/export",
            ):  # fmt: skip
                text = client.get(path).text
                assert own in text
                assert other not in text
        assert theirs.delete(f"/api/v1/sessions/{session}").status_code == 204
        assert own_hub.client.get(f"/api/v1/sessions/{session}").status_code == 200
