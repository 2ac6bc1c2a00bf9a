"""Who looks after replicas sees which are behind, away or full, and what is still to be erased."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memory_core.clock import now
from memory_core.ids import uuid7
from memory_core.operations import CreateSession, Erase
from memory_core.records import Kind
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub, serving
from tests.support.databases import HubDatabase
from tests.support.syncing import FakeReplica, operation, wires


@pytest.fixture
def replica(hub: Hub) -> FakeReplica:
    return FakeReplica(hub.client, hub.make_project(f"status/{uuid7()}"))


def status(replica: FakeReplica) -> Any:
    asked = {"project": replica.project}
    return checked(replica.client.get("/api/v1/sync/status", params=asked), 200)


def test_a_replica_is_shown_as_it_last_was(replica: FakeReplica) -> None:
    made = [operation(Kind.SESSION, CreateSession(id=uuid7(), title="t")) for _ in range(3)]
    replica.results(wires(made), status={"pending": 7, "conflicts": 1, "rejected": 2})
    [shown] = status(replica)["replicas"]
    assert (shown["id"], shown["project_id"]) == (replica.id, replica.project)
    assert (shown["name"], shown["agent"], shown["actor"]) == ("laptop", "tests", "admin")
    assert (shown["pending"], shown["conflicts"], shown["rejected"]) == (7, 1, 2)
    assert (shown["head"], shown["cursor"], shown["lag"]) == (4, 0, 4)
    assert (shown["state"], shown["alert"]) == ("active", False)
    replica.pull(after=3, pending=101)
    [shown] = status(replica)["replicas"]
    assert (shown["cursor"], shown["lag"], shown["alert"]) == (3, 1, True)


def test_projects_count_their_replicas(hub: Hub, replica: FakeReplica) -> None:
    replica.pull()
    FakeReplica(hub.client, replica.project).pull(paused=True)
    path = f"/api/v1/projects/{replica.project}"
    counts = {"active": 1, "paused": 1, "offline": 0}
    assert checked(hub.client.get(path), 200)["replicas"] == counts
    listed = checked(hub.client.get("/api/v1/projects", params={"limit": 200}), 200)["items"]
    assert [one["replicas"] for one in listed if one["id"] == replica.project] == [counts]


def test_one_that_was_not_seen_for_long_is_offline(
    shared_database: HubDatabase, tmp_path: Path
) -> None:
    with serving(tmp_path, database_url=shared_database.url(tmp_path)) as hub:
        replica = FakeReplica(hub.client, hub.make_project("status/away"))
        replica.pull()
        long_ago = "2026-01-01T00:00:00.000000Z"
        shared_database.edit(tmp_path, "UPDATE replicas SET last_seen = ?", long_ago)
        assert status(replica)["replicas"][0]["state"] == "offline"
        replica.pull()
        [shown] = status(replica)["replicas"]
        assert shown["state"] == "active"
        assert long_ago < shown["last_seen"] <= now()


def test_an_erasure_waits_for_every_replica(hub: Hub, replica: FakeReplica) -> None:
    made = operation(Kind.SESSION, CreateSession(id=uuid7(), title="t"))
    replica.results(wires([made, operation(Kind.SESSION, Erase(), made.record_id)]))
    other = FakeReplica(hub.client, replica.project)
    other.pull(after=2)
    replica.pull(after=2)
    [waited] = status(replica)["erasures"]
    assert (waited["record_id"], waited["seq"]) == (made.record_id, 3)
    assert set(waited["waiting"]) == {replica.id, other.id}
    replica.pull(after=3)
    assert [one["waiting"] for one in status(replica)["erasures"]] == [[other.id]]
    other.pull(after=3)
    assert status(replica)["erasures"] == []


def test_replicas_of_other_projects_are_not_shown(hub: Hub, replica: FakeReplica) -> None:
    replica.pull()
    hub.make_project("status/granted")
    with hub.as_(hub.make_key("read", projects=["status/granted"])["key"]) as client:
        assert checked(client.get("/api/v1/sync/status"), 200) == {"replicas": [], "erasures": []}
        FakeReplica(client, hub.make_project("status/granted")).pull()
        [shown] = checked(client.get("/api/v1/sync/status"), 200)["replicas"]
        assert shown["project"] == "status/granted"
