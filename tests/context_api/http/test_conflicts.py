"""A conflict is read, resolved once in any of three ways, and only by who sees the record."""

from __future__ import annotations

from typing import Any

import pytest

from memory_core.ids import uuid7
from memory_core.operations import ResolveConflict, UpdateSession
from memory_core.records import Kind, Privacy
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub
from tests.support.syncing import FakeReplica, operation, wires


def disputed(hub: Hub, kind: str, body: dict[str, Any], field: str, values: tuple[Any, Any]) -> Any:
    """Makes a record, changes a field of it on two sides, and returns the open conflict."""
    made = hub.client.post(f"/api/v1/{kind}", json=body).json()
    for value in values:
        given = {field: value, "base": made["last_op"]}
        answer = hub.client.patch(f"/api/v1/{kind}/{made['id']}", json=given)
        assert answer.status_code == 200, answer.text
    found = hub.client.get("/api/v1/conflicts").json()["items"]
    [conflict] = [one for one in found if one["record_id"] == made["id"]]
    return conflict


@pytest.fixture
def project(hub: Hub) -> str:
    return hub.make_project(f"conflicts/{uuid7()}")


@pytest.fixture
def conflict(hub: Hub, project: str) -> Any:
    return disputed(
        hub, "sessions", {"project": project, "title": "t"}, "title", ("ours", "theirs")
    )


def resolve(hub: Hub, conflict: Any, **body: Any) -> Any:
    return hub.client.post(f"/api/v1/conflicts/{conflict['id']}/resolve", json=body)


def title(hub: Hub, conflict: Any) -> str:
    return str(hub.client.get(f"/api/v1/sessions/{conflict['record_id']}").json()["title"])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"resolution": "kept"}, "ours"),
        ({"resolution": "pushed"}, "theirs"),
        ({"resolution": "edited", "value": "both"}, "both"),
    ],
)
def test_a_conflict_is_resolved(
    hub: Hub, conflict: Any, body: dict[str, Any], expected: str
) -> None:
    path = f"/api/v1/conflicts/{conflict['id']}"
    assert checked(hub.client.get(path), 200) == conflict
    done = checked(resolve(hub, conflict, **body), 200)
    assert (done["resolution"], done["value"]) == (body["resolution"], expected)
    assert title(hub, conflict) == expected
    assert checked(hub.client.get(path), 200) == done
    open_ = hub.client.get("/api/v1/conflicts").json()["items"]
    assert conflict["id"] not in [one["id"] for one in open_]
    assert hub.client.post("/api/v1/admin/verify").json()["ok"]


def test_resolving_again_alike_is_done_and_otherwise_refused(hub: Hub, conflict: Any) -> None:
    done = checked(resolve(hub, conflict, resolution="pushed"), 200)
    assert checked(resolve(hub, conflict, resolution="pushed"), 200) == done
    assert checked(resolve(hub, conflict, resolution="kept"), 409)["code"] == "conflict"
    assert title(hub, conflict) == "theirs"


@pytest.mark.parametrize(
    "body",
    [
        {"resolution": "edited"},
        {"resolution": "pushed", "value": "x"},
        {"resolution": "edited", "value": None},
        {"resolution": "edited", "value": {"a": 1}},
        {"resolution": "both"},
    ],
)
def test_what_is_no_resolution_changes_nothing(
    hub: Hub, conflict: Any, body: dict[str, Any]
) -> None:
    assert checked(resolve(hub, conflict, **body), 422)["code"] == "invalid_input"
    assert title(hub, conflict) == "ours"


def test_a_secret_in_an_edited_value_is_taken_out(hub: Hub, conflict: Any) -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    done = checked(resolve(hub, conflict, resolution="edited", value=f"with {secret}"), 200)
    assert secret not in str(done)
    assert secret not in title(hub, conflict)


def test_where_the_record_is_gone_only_the_conflict_closes(hub: Hub, conflict: Any) -> None:
    hub.client.delete(f"/api/v1/sessions/{conflict['record_id']}")
    assert checked(resolve(hub, conflict, resolution="pushed"), 200)["resolution"] == "pushed"


def test_a_conflict_of_a_private_record_is_its_owner_s(hub: Hub, project: str) -> None:
    body = {"project": project, "title": "t", "privacy_level": Privacy.PRIVATE}
    conflict = disputed(hub, "sessions", body, "title", ("ours", "theirs"))
    with hub.as_(hub.make_key("read", "write", owner="grace")["key"]) as client:
        path = f"/api/v1/conflicts/{conflict['id']}"
        assert client.get(path).status_code == 404
        answer = client.post(f"{path}/resolve", json={"resolution": "kept"})
        assert checked(answer, 404)["code"] == "not_found"
        about = ResolveConflict(
            record_kind=Kind.SESSION, record_id=conflict["record_id"], resolution="kept"
        )
        pushed = wires([operation(Kind.CONFLICT, about, conflict["id"])])
        [result] = FakeReplica(client, project).results(pushed)
        assert (result["outcome"], result["problem"]["code"]) == ("rejected", "not_found")


def test_a_slug_that_was_taken_meanwhile_is_not_chosen(hub: Hub) -> None:
    slugs = tuple(f"conflicts/{uuid7()}" for _ in range(3))
    conflict = disputed(hub, "projects", {"slug": slugs[0]}, "slug", slugs[1:])
    hub.make_project(slugs[2])
    assert checked(resolve(hub, conflict, resolution="pushed"), 409)["code"] == "slug_taken"
    about = ResolveConflict(
        record_kind=Kind.PROJECT, record_id=conflict["record_id"], resolution="pushed"
    )
    replica = FakeReplica(hub.client, conflict["project_id"])
    [result] = replica.results(wires([operation(Kind.CONFLICT, about, conflict["id"])]))
    assert (result["outcome"], result["problem"]["code"]) == ("rejected", "slug_taken")


def test_a_parent_that_is_not_there_is_not_chosen(hub: Hub, project: str) -> None:
    made = hub.client.post("/api/v1/projects", json={"slug": f"conflicts/{uuid7()}"}).json()
    for parent in (project, hub.make_project(f"conflicts/{uuid7()}")):
        given = {"parent": parent, "base": made["last_op"]}
        assert hub.client.patch(f"/api/v1/projects/{made['id']}", json=given).status_code == 200
    found = hub.client.get("/api/v1/conflicts").json()["items"]
    [conflict] = [one for one in found if one["record_id"] == made["id"]]
    absent = uuid7()
    refused = resolve(hub, conflict, resolution="edited", value=absent)
    assert checked(refused, 422)["code"] == "invalid_input"
    about = ResolveConflict(
        record_kind=Kind.PROJECT, record_id=made["id"], resolution="edited", value=absent
    )
    replica = FakeReplica(hub.client, made["id"])
    [result] = replica.results(wires([operation(Kind.CONFLICT, about, conflict["id"])]))
    assert (result["outcome"], result["problem"]["code"]) == ("rejected", "invalid_input")


def test_a_replica_resolves_what_it_pushed(hub: Hub, project: str) -> None:
    replica = FakeReplica(hub.client, project)
    made = hub.client.post("/api/v1/sessions", json={"project": project, "title": "t"}).json()
    path = f"/api/v1/sessions/{made['id']}"
    hub.client.patch(path, json={"title": "ours"})
    late = operation(Kind.SESSION, UpdateSession(title="mine"), made["id"], base=made["last_op"])
    [result] = replica.results(wires([late]))
    about = ResolveConflict(record_kind=Kind.SESSION, record_id=made["id"], resolution="pushed")
    resolving = wires([operation(Kind.CONFLICT, about, result["conflicts"][0])], 2)
    [done] = replica.results(resolving)
    assert done["outcome"] == "accepted"
    assert replica.results(resolving) == [done]
    assert hub.client.get(path).json()["title"] == "mine"
