"""The life of a key: used, replaced with overlap, ended, revoked."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from context_api.http.options import HttpOptions
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub
from tests.context_api.http.test_stream import following, real, save
from tests.support.patience import BUSY_S

ENDS_WITHIN_S = 5


def works(hub: Hub, key: str) -> bool:
    with hub.as_(key) as client:
        status = client.get("/api/v1/projects").status_code
    assert status in {200, 401}
    return status == 200


def rotated(hub: Hub, key_id: str, status: int = 201, **body: Any) -> Any:
    return checked(hub.client.post(f"/api/v1/keys/{key_id}/rotate", json=body), status)


def listed(hub: Hub, key_id: str) -> dict[str, Any]:
    items = checked(hub.client.get("/api/v1/keys"), 200)["items"]
    return next(key for key in items if key["id"] == key_id)


def hours_left(text: str) -> float:
    left = datetime.fromisoformat(text) - datetime.now(UTC)
    return left / timedelta(hours=1)


def test_both_keys_work_for_the_overlap(hub: Hub) -> None:
    hub.make_project("keys/one")
    old = hub.make_key("read", projects=["keys/one"], owner="ada", name="laptop")
    new = rotated(hub, old["id"])
    assert works(hub, old["key"])
    assert works(hub, new["key"])
    assert new["id"] != old["id"]
    same = ("name", "owner", "scopes", "projects", "expires_at")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert new["replaces"]["id"] == old["id"]
    assert 23.9 < hours_left(new["replaces"]["expires_at"]) <= 24
    assert listed(hub, old["id"])["expires_at"] == new["replaces"]["expires_at"]


def test_without_overlap_the_old_key_ends_now(hub: Hub) -> None:
    old = hub.make_key("read")
    new = rotated(hub, old["id"], overlap_seconds=0)
    assert not works(hub, old["key"])
    assert works(hub, new["key"])


def test_an_overlap_never_lengthens_a_life(hub: Hub) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    old = hub.make_key("read", expires_at=ends)
    new = rotated(hub, old["id"], overlap_seconds=7 * 24 * 3600)
    assert new["expires_at"] == new["replaces"]["expires_at"] == old["expires_at"]
    later = (datetime.now(UTC) + timedelta(hours=9)).isoformat()
    assert hours_left(rotated(hub, old["id"], expires_at=later)["expires_at"]) > 8


def test_what_does_not_work_any_more_is_not_replaced(hub: Hub) -> None:
    revoked = hub.make_key("read")
    assert hub.client.delete(f"/api/v1/keys/{revoked['id']}").status_code == 204
    assert rotated(hub, revoked["id"], 409)["code"] == "conflict"
    ended = hub.make_key("read")
    rotated(hub, ended["id"], overlap_seconds=0)
    assert rotated(hub, ended["id"], 409)["code"] == "conflict"
    assert listed(hub, revoked["id"])["expires_at"] is None
    assert rotated(hub, "0000unknown", 404)["code"] == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        {"overlap_seconds": -1},
        {"overlap_seconds": 10**9},
        {"overlap_seconds": "1 day"},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"scopes": ["admin"]},
    ],
)
def test_a_replacement_that_is_wrong(hub: Hub, body: dict[str, object]) -> None:
    old = hub.make_key("read")
    assert rotated(hub, old["id"], 422, **body)["code"] == "invalid_input"
    assert works(hub, old["key"])


def test_a_key_of_another_tenant_is_not_there(hub: Hub) -> None:
    ours = hub.make_key("read")
    theirs = hub.client.post("/api/v1/tenants", json={"name": "rotating"}).json()
    with hub.as_(theirs["key"]) as client:
        refused = client.post(f"/api/v1/keys/{ours['id']}/rotate", json={"overlap_seconds": 0})
    assert checked(refused, 404)["code"] == "not_found"
    assert works(hub, ours["key"])


def test_its_last_use_shows_at_once(hub: Hub) -> None:
    made = hub.make_key("read")
    assert listed(hub, made["id"])["last_used_at"] is None
    assert works(hub, made["key"])
    used = listed(hub, made["id"])["last_used_at"]
    assert used is not None
    assert -0.01 < hours_left(used) <= 0


def test_no_list_holds_a_secret(hub: Hub) -> None:
    made = hub.make_key("read")
    new = rotated(hub, made["id"])
    text = json.dumps(checked(hub.client.get("/api/v1/keys"), 200))
    for key in (made["key"], new["key"]):
        assert key.split("_", 2)[2] not in text


@pytest.mark.parametrize("end", ["revoked", "replaced"])
def test_a_stream_ends_with_its_key(own_hub: Hub, end: str) -> None:
    """With the interval that hubs have; in the other case sooner, so as to take no time."""
    if end == "replaced":
        own_hub.app.state.options = HttpOptions(key_check_interval=0.1)
    project = own_hub.make_project("keys/stream")
    save(own_hub, project, 1)
    made = own_hub.make_key("read")
    with following(own_hub, project, key=made["key"]) as events:
        real(events, 2)
        started = time.monotonic()
        if end == "revoked":
            own_hub.client.delete(f"/api/v1/keys/{made['id']}")
        else:
            rotated(own_hub, made["id"], overlap_seconds=0)
        assert [event for event in events if "id" in event] == []
    assert time.monotonic() - started < ENDS_WITHIN_S + BUSY_S
