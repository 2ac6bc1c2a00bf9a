"""The audit log: what goes into it, who reads it, and that nobody changes it unseen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from context_api.http.options import HttpOptions
from memory_core.ids import uuid7
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub, serving
from tests.support.databases import Files, HubDatabase, OnServer

AUDIT = "/api/v1/audit"
LINES = {"Content-Type": "application/x-ndjson"}


@dataclass
class Team:
    """A tenant of its own, with a client of its first key."""

    id: str
    client: httpx.Client

    def make_key(self, *scopes: str, **more: Any) -> dict[str, Any]:
        body = {"name": "test", "scopes": [*scopes], **more}
        made: dict[str, Any] = checked(self.client.post("/api/v1/keys", json=body), 201)
        return made

    def make(self, path: str, **body: Any) -> str:
        return str(checked(self.client.post(f"/api/v1/{path}", json=body), 201)["id"])

    def entries(self, **query: Any) -> list[dict[str, Any]]:
        """Returns the audit log, oldest entry first, without how the tenant began."""
        answer = self.client.get(AUDIT, params={"limit": 200, **query})
        found = [*reversed(checked(answer, 200)["items"])]
        return [one for one in found if one["act"] != "tenant.create"]

    def verified(self, **query: Any) -> dict[str, Any]:
        answer = self.client.post(f"{AUDIT}/verify", params=query)
        found: dict[str, Any] = checked(answer, 200)
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audited")


@pytest.fixture(scope="module")
def hub(shared_database: HubDatabase, folder: Path) -> Iterator[Hub]:
    place = folder / type(shared_database).__name__
    with serving(place, database_url=shared_database.url(place)) as running:
        yield running


@pytest.fixture
def team(hub: Hub) -> Iterator[Team]:
    body = {"name": f"team {uuid7()}", "owner": "ada"}
    made = checked(hub.client.post("/api/v1/tenants", json=body), 201)
    with hub.as_(made["key"]) as client:
        yield Team(made["id"], client)


def test_what_is_done_to_keys_is_told(team: Team) -> None:
    project = team.make("projects", slug="audit/one")
    made = team.make_key("read", name="laptop\u202e", owner="grace", projects=[project])
    new = team.client.post(f"/api/v1/keys/{made['id']}/rotate", json={}).json()
    assert team.client.delete(f"/api/v1/keys/{new['id']}").status_code == 204
    assert team.client.delete("/api/v1/keys/0000unknown").status_code == 404
    told = team.entries()
    assert [(one["act"], one["target"]) for one in told] == [
        ("key.create", made["id"]),
        ("key.rotate", made["id"]),
        ("key.revoke", new["id"]),
    ]
    assert told[0]["detail"] == {
        "name": r"laptop\u202e", "owner": "grace", "scopes": ["read"], "projects": [project],
    }  # fmt: skip
    assert told[1]["detail"]["by"] == new["id"]
    assert {one["actor"] for one in told} == {"ada"}
    for key in (made["key"], new["key"]):
        assert key.split("_", 2)[2] not in str(told)
    assert team.verified()["ok"]


def test_what_an_admin_does_is_told(team: Team) -> None:
    project = team.make("projects", slug="audit/one")
    session, gone = (
        team.make("sessions", project=project, title="kanarienvogel") for _ in range(2)
    )
    assert team.client.delete(f"/api/v1/sessions/{gone}").status_code == 204
    erased = team.client.delete(f"/api/v1/sessions/{session}", params={"erase": True})
    assert erased.status_code == 204
    assert team.client.post("/api/v1/admin/rebuild").status_code == 200
    export = team.client.get("/api/v1/export", params={"keys": True}).content
    for query in ({}, {"restore": "merge", "keys": True}):
        taken = team.client.post("/api/v1/import", params=query, content=export, headers=LINES)
        assert taken.status_code == 200
    found = team.entries()
    assert [one["act"] for one in found] == [
        "record.erase", "views.rebuild", "export", "import", "restore",
    ]  # fmt: skip
    assert found[0]["target"] == f"session {session}"
    assert found[0]["detail"]["project"] == project
    assert [one["detail"].get("keys") for one in found[2:]] == [True, False, True]
    assert "kanarienvogel" not in str(found)
    team.client.delete(f"/api/v1/sessions/{session}", params={"erase": True})
    assert len(team.entries()) == len(found), "what is erased already is not erased again"
    assert team.verified()["ok"]


def test_records_are_written_and_read_without_it(team: Team) -> None:
    project = team.make("projects", slug="audit/one")
    session = team.make("sessions", project=project, title="t")
    assert team.client.get(f"/api/v1/sessions/{session}").status_code == 200
    assert team.client.post("/api/v1/search", json={"query": "t"}).status_code == 200
    assert team.entries() == []


def test_refusals_of_what_is_for_admins_are_told_but_do_not_fill_it(hub: Hub, team: Team) -> None:
    key, admin = team.make_key("read", "write", owner="mallory"), team.make_key("admin")
    with hub.as_(key["key"]) as client:
        for _ in range(5):
            assert client.get("/api/v1/keys").status_code == 403
        assert client.delete("/api/v1/keys/0000unknown").status_code == 403
        assert client.post("/api/v1/tenants", json={"name": "mine"}).status_code == 403
        assert client.get(f"{AUDIT}?limit=1").status_code == 403
    with hub.as_(admin["key"]) as client:
        assert client.get(AUDIT, params={"tenant": uuid7()}).status_code == 403
    found = team.entries(act="refused")
    assert [(one["target"], one["key_id"]) for one in found] == [
        ("GET /api/v1/keys", key["id"]),
        ("DELETE /api/v1/keys/{key_id}", key["id"]),
        ("POST /api/v1/tenants", key["id"]),
        ("GET /api/v1/audit", key["id"]),
        ("GET /api/v1/audit", admin["id"]),
    ]
    refusals = hub.app.state.refusals
    refusals.clock = lambda clock=refusals.clock: clock() + 61
    with hub.as_(key["key"]) as client:
        client.get("/api/v1/keys")
    assert team.entries()[-1]["detail"] == {"unwritten_before": 4}


def test_reads_are_told_where_that_is_wanted(hub: Hub, team: Team) -> None:
    project = team.make("projects", slug="audit/one")
    session = team.make("sessions", project=project, title="t")
    usual, hub.app.state.options = hub.app.state.options, HttpOptions(audit_reads=True)
    try:
        assert team.client.get(f"/api/v1/sessions/{session}").status_code == 200
        assert team.client.get(f"/api/v1/sessions/{uuid7()}").status_code == 404
        assert team.client.post("/api/v1/search", json={"query": "quokka"}).status_code == 200
        changed = team.client.patch(f"/api/v1/sessions/{session}", json={"title": "changed"})
        assert changed.status_code == 200
    finally:
        hub.app.state.options = usual
    found = team.entries()
    assert [(one["act"], one["target"]) for one in found] == [
        ("read", f"GET /api/v1/sessions/{session}"),
        ("read", "POST /api/v1/search"),
    ]
    assert "quokka" not in str(found)


def test_it_is_read_page_by_page(team: Team) -> None:
    made = [team.make_key("read")["id"] for _ in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2, "act": "key.create", **({"cursor": cursor} if cursor else {})}
        page = checked(team.client.get(AUDIT, params=query), 200)
        seen += [one["target"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [*reversed(made)]
    for wrong in ("x", "W10=", "WyJhdWRpdCIsIDBd", "WyJhdWRpdCIsICIxIl0=", "\u00e9"):
        refused = team.client.get(AUDIT, params={"cursor": wrong})
        assert checked(refused, 400)["code"] == "invalid_cursor"


def test_each_tenant_has_its_own_chain(hub: Hub, team: Team) -> None:
    [told] = checked(team.client.get(AUDIT), 200)["items"]
    assert (told["act"], told["target"], told["actor"]) == ("tenant.create", team.id, "admin")
    assert told["seq"] == 1
    seen = hub.client.get(AUDIT, params={"tenant": team.id})
    assert checked(seen, 200)["items"] == [told]
    ours = hub.client.get(AUDIT, params={"limit": 200})
    assert team.id not in {one["target"] for one in checked(ours, 200)["items"]}
    assert team.client.get(AUDIT, params={"tenant": uuid7()}).status_code == 403
    missing = hub.client.post(f"{AUDIT}/verify", params={"tenant": uuid7()})
    assert checked(missing, 404)["code"] == "not_found"


def test_many_at_once_make_one_chain(team: Team) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = {*pool.map(lambda _: str(team.make_key("read")["id"]), range(24))}
    found = team.entries()
    assert [one["seq"] for one in found] == [*range(2, 26)]
    assert {one["target"] for one in found} == made
    assert team.verified()["ok"]


def behind(database: HubDatabase, folder: Path, statement: str) -> None:
    """Changes the log as somebody could who owns the database."""
    if isinstance(database, Files):
        with closing(sqlite3.connect(folder / "Files/hub.db")) as connection, connection:
            for change in ("update", "delete"):
                connection.execute(f"DROP TRIGGER IF EXISTS audit_log_kept_{change}")
            connection.execute(statement)
    else:
        assert isinstance(database, OnServer)
        with database.server.connect(database.names[folder / "OnServer"]) as connection:
            connection.execute(b"SET session_replication_role = replica")
            connection.execute(statement.encode())


EDITS = {
    "an actor": ("UPDATE audit_log SET actor = 'grace' WHERE {} AND seq = 3", "entry 3"),
    "a detail": ("UPDATE audit_log SET detail = '{{}}' WHERE {} AND seq = 2", "entry 2"),
    "an act": ("UPDATE audit_log SET act = 'key.rotate' WHERE {} AND seq = 6", "entry 6"),
    "a time": (
        "UPDATE audit_log SET at = '2026-01-01T00:00:00.000000Z' WHERE {} AND seq = 4", "entry 4",
    ),
    "one taken out": ("DELETE FROM audit_log WHERE {} AND seq = 2", "entry 2 is missing"),
    "the first taken out": ("DELETE FROM audit_log WHERE {} AND seq = 1", "entry 1 is missing"),
    "moved": ("UPDATE audit_log SET seq = seq + 40 WHERE {} AND seq = 3", "entry 3 is missing"),
    "the last taken out": ("DELETE FROM audit_log WHERE {} AND seq > 5", None),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_a_change_behind_the_hubs_back_is_found(
    team: Team, shared_database: HubDatabase, folder: Path, edit: str
) -> None:
    for _ in range(6):
        team.make_key("read")
    before = team.verified()
    assert (before["ok"], before["entries"]) == (True, 7)
    assert team.verified(anchor=before["head"]) == before
    statement, problem = EDITS[edit]
    behind(shared_database, folder, statement.format(f"tenant_id = '{team.id}'"))
    assert not team.verified(anchor=before["head"])["ok"]
    after = team.verified()
    assert after["ok"] is (problem is None), "only the anchor knows how long the chain was"
    assert problem is None or problem in after["problem"]


def test_an_anchor_holds_while_the_log_grows(team: Team) -> None:
    anchor = team.verified()["head"]
    team.make_key("read")
    assert team.verified(anchor=anchor)["ok"]
    assert team.verified(anchor=f"1:{'0' * 64}")["problem"] == (
        "entry 1 is not the one that was kept as the anchor"
    )
    for wrong in ("1", "0:" + "0" * 64, "1:" + "0" * 63, "x"):
        assert team.client.post(f"{AUDIT}/verify", params={"anchor": wrong}).status_code == 422


def test_nothing_changes_an_entry_of_a_file_by_mistake(tmp_path: Path) -> None:
    Files().url(tmp_path)
    entry = "('t', 1, 'a', 'k', 'a', 'x', 'y', '{}', x'00')"
    with closing(sqlite3.connect(tmp_path / "hub.db")) as connection:
        connection.execute(f"INSERT INTO audit_log VALUES {entry}")
        for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"):
            with pytest.raises(sqlite3.IntegrityError, match="only added to"):
                connection.execute(statement)
