"""A restored hub knows its replicas as the backup does, and gets again what it lacks."""

from __future__ import annotations

from pathlib import Path

from memory_core.ids import uuid7
from memory_core.operations import CreateSession, UpdateSession
from memory_core.records import Kind
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub, serving
from tests.support.databases import HubDatabase
from tests.support.syncing import FakeReplica, operation, wires


def test_a_restored_hub_asks_for_what_it_lacks(
    hub: Hub, shared_database: HubDatabase, tmp_path: Path
) -> None:
    replica = FakeReplica(hub.client, hub.make_project(f"restored/{uuid7()}"))
    made = [operation(Kind.SESSION, CreateSession(id=uuid7(), title=f"s{n}")) for n in range(3)]
    refused = operation(Kind.SESSION, UpdateSession(title="x"), uuid7())
    batch = wires([*made, refused])
    replica.results(batch)
    backup = hub.client.get("/api/v1/export").content
    late = operation(Kind.SESSION, CreateSession(id=uuid7(), title="late"))
    batch += wires([late], 5)
    replica.results(batch[4:])
    before = replica.pull(after=5).json()
    with serving(tmp_path, database_url=shared_database.url(tmp_path)) as restored:
        taken = restored.client.post(
            "/api/v1/import",
            params={"restore": "empty"},
            content=backup,
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert checked(taken, 200)["events"] > 0
        again = FakeReplica(restored.client, replica.project, replica.id)
        gone = again.pull(after=5, epoch=before["epoch"])
        assert checked(gone, 410)["code"] == "epoch_changed"
        page = checked(again.pull(), 200)
        assert page["epoch"] != before["epoch"]
        assert page["acked"]["number"] == 4
        assert checked(again.push(wires([late], 6)), 409)["expected"] == 5
        assert [one["outcome"] for one in again.results(batch[4:])] == ["accepted"]
        known = again.results(batch[:3])
        assert [one["outcome"] for one in known] == ["duplicate"] * 3
        assert len(again.log()) == len(replica.log())
        # Taken in once more, it is not behind what it has come to since.
        restored.client.post(
            "/api/v1/import",
            content=backup,
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert again.pull().json()["acked"]["number"] == 5


def test_a_line_that_is_no_replica_is_refused(hub: Hub) -> None:
    FakeReplica(hub.client, hub.make_project(f"restored/{uuid7()}")).pull()
    lines = hub.client.get("/api/v1/export").content.splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.startswith(b'{"replica"'))
    for old, new in ((b'"pending":0', b'"pending":-1'), (b'"id":"0', b'"id":"z')):
        broken = [*lines[:at], lines[at].replace(old, new), *lines[at + 1 :]]
        answer = hub.client.post(
            "/api/v1/import",
            content=b"".join(broken),
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert checked(answer, 422)["code"] in {"invalid_input", "invalid_id"}
