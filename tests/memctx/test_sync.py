"""`memctx sync`, `conflicts` and `rejected`, with replicas of two people and a real hub."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import Hub
from tests.sync_agent.agent.machine import Machine


class Person:
    """Somebody with a machine of their own and a clone of the project."""

    def __init__(self, root: Path, hub: Hub, name: str) -> None:
        self.machine = Machine(root)
        self.clone = self.machine.repository(name, hub)

    def memctx(self, *arguments: str) -> Any:
        return self.machine.memctx(*arguments, cwd=self.clone.root)

    def json(self, *arguments: str) -> Any:
        return self.machine.json(*arguments, cwd=self.clone.root)

    def sync(self) -> Any:
        return self.json("sync")


@pytest.fixture
def people(tmp_path: Path, hub: Hub, request: pytest.FixtureRequest) -> Iterator[list[Person]]:
    """Two people with one project of their own for each test."""
    name = f"p{abs(hash(request.node.nodeid)) % 10**9}"
    made = [Person(tmp_path / who, hub, name) for who in ("ann", "ben")]
    yield made
    for person in made:
        person.machine.end()


def disputed(people: list[Person]) -> tuple[str, str]:
    """Lets both change one title while apart; returns the ids of session and conflict."""
    ann, ben = people
    session = ann.json("sessions", "add", "--title", "first")["id"]
    ann.sync()
    ben.sync()
    ann.json("sessions", "edit", session, "--title", "by ann")
    ben.json("sessions", "edit", session, "--title", "by ben")
    ann.sync()
    ben.sync()
    [conflict] = ben.json("conflicts")
    assert (conflict["kept"], conflict["pushed"]) == ("by ann", "by ben")
    return session, conflict["id"]


def titles(person: Person, session: str) -> str:
    found: str = person.json("sessions", "show", session)["title"]
    return found


def test_a_sync_says_what_it_moved(people: list[Person], hub: Hub) -> None:
    ann, ben = people
    ann.json("sessions", "add", "--title", "from ann")
    done = ann.sync()
    assert done["hub"] == hub.url
    assert done["projects"][0]["pushed"] == 1
    ben.sync()
    assert ben.clone.titles() == {"from ann"}
    assert ben.json("sync", "status")["projects"][0]["behind"] == 0


@pytest.mark.parametrize(
    ("choice", "title"),
    [
        (["--ours"], "by ben"),
        (["--theirs"], "by ann"),
        (["--edit", "by both"], "by both"),
    ],
)
def test_a_conflict_is_resolved_offline_and_everywhere(
    people: list[Person], choice: list[str], title: str
) -> None:
    ann, ben = people
    session, conflict = disputed(people)
    ben.json("conflicts", "resolve", conflict, *choice)
    assert titles(ben, session) == title
    assert ben.json("conflicts", "list") == []
    assert ben.clone.pending() == 1
    ben.sync()
    ann.sync()
    assert titles(ann, session) == titles(ben, session) == title
    assert ann.json("conflicts") == ben.json("conflicts") == []


def test_a_conflict_is_shown_and_resolved_at_the_hub(people: list[Person], hub: Hub) -> None:
    ann, ben = people
    session, conflict = disputed(people)
    assert hub.json("conflicts", "show", conflict)["pushed"] == "by ben"
    hub.json("conflicts", "resolve", conflict, "--ours")
    for person in (ann, ben):
        person.sync()
        assert titles(person, session) == "by ben"
        assert person.json("conflicts") == []


def test_one_choice_is_asked_for(people: list[Person]) -> None:
    assert people[0].memctx("conflicts", "resolve", "x").returncode == 2
    assert people[0].memctx("conflicts", "resolve", "x", "--ours", "--theirs").returncode == 2


def test_a_replica_is_verified_and_a_changed_row_is_mended(people: list[Person]) -> None:
    ann, _ = people
    ann.json("sessions", "add", "--title", "as it was")
    ann.sync()
    assert all(each["well"] for each in ann.json("sync", "verify"))
    with sqlite3.connect(ann.clone.replica) as file:
        file.execute("UPDATE records SET base = replace(base, 'as it was', 'forged')")
    file.close()
    assert ann.clone.titles() == {"forged"}
    found = ann.memctx("sync", "verify")
    assert found.returncode == 1
    assert "memctx sync repair" in found.stderr
    ann.json("sync", "repair")
    assert ann.clone.titles() == {"as it was"}
    assert all(each["well"] for each in ann.json("sync", "verify"))


def test_everything_is_read_again_and_what_waits_stays(people: list[Person]) -> None:
    ann, _ = people
    ann.json("sessions", "add", "--title", "at the hub")
    ann.sync()
    ann.json("sessions", "add", "--title", "not yet")
    ann.json("sync", "--full")
    assert ann.clone.titles() == {"at the hub", "not yet"}
    assert ann.clone.pending() == 0


@pytest.mark.parametrize("how", [("sync", "repair"), ("sync",)])
def test_a_file_that_is_no_database_any_more_is_set_aside(
    people: list[Person], how: tuple[str, ...]
) -> None:
    ann, _ = people
    ann.json("sessions", "add", "--title", "at the hub")
    ann.sync()
    size = ann.clone.replica.stat().st_size
    ann.clone.replica.write_bytes(b"\0" * size)
    for side in ("-wal", "-shm"):
        ann.clone.replica.with_name(ann.clone.replica.name + side).unlink(missing_ok=True)
    ann.json(*how)
    assert ann.clone.titles() == {"at the hub"}
    names = [path.name for path in ann.clone.replica.parent.iterdir()]
    assert any(name.startswith("replica.db.damaged") for name in names)


def test_a_folder_without_a_replica_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    for command in (["sync"], ["sync", "verify"], ["sync", "status"], ["rejected"]):
        done = machine.memctx(*command)
        assert done.returncode == 1
        assert "memctx init" in done.stderr


def test_a_replica_without_a_hub_keeps_everything(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    repository = machine.repository("alone")
    repository.write("mine")
    done = machine.memctx("sync", cwd=repository.root)
    assert done.returncode == 0
    assert "memctx remote add" in done.stderr
    assert repository.pending() == 1


def test_a_hub_that_was_added_later_gets_everything(tmp_path: Path, hub: Hub) -> None:
    machine = Machine(tmp_path / "machine")
    repository = machine.repository("added-later")
    repository.write("before there was a hub")
    machine.name_hub(repository.root, hub)
    (repository.root / ".memctx.toml").unlink()
    machine.json("remote", "add", hub.url, cwd=repository.root)
    machine.json("sync", cwd=repository.root)
    assert repository.pending() == 0
    project = repository.project().id
    with hub.client() as client:
        found = [session["title"] for session in client.sessions.list(project=project)]
    assert found == ["before there was a hub"]


def test_more_than_a_hundred_operations_that_wait_are_told(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    repository = machine.repository("many")
    for number in range(101):
        repository.write(f"n{number}")
    status = machine.memctx("agent", "status")
    assert "101 operations of acme/many wait for the hub" in status.stderr


def test_a_replica_of_one_hub_is_not_given_to_another(people: list[Person], tmp_path: Path) -> None:
    ann, _ = people
    ann.sync()
    ann.machine.name_hub(ann.clone.root, "http://127.0.0.1:9")
    done = ann.memctx("sync")
    assert done.returncode == 1
    assert "http://127.0.0.1:9 is named now" in done.stderr


@pytest.fixture
def refused(people: list[Person], hub: Hub) -> tuple[Person, str]:
    """A person with an operation that the hub refused: its record is gone."""
    ann, _ = people
    session = ann.json("sessions", "add", "--title", "soon gone")["id"]
    ann.sync()
    ann.json("sessions", "edit", session, "--title", "too late")
    with hub.client() as client:
        client.sessions.delete(session)
    ann.sync()
    return ann, session


def test_what_the_hub_refused_is_kept_with_its_reason(refused: tuple[Person, str]) -> None:
    person, session = refused
    [kept] = person.json("rejected")
    assert (kept["type"], kept["record_id"], kept["code"]) == ("update_session", session, "deleted")
    shown = person.json("rejected", "show", kept["op_id"])
    assert shown["body"] == {"title": "too late"}
    [status] = person.json("agent", "status")["replicas"]
    assert status["projects"][0]["rejected"] == 1


def test_what_was_refused_can_be_let_go(refused: tuple[Person, str]) -> None:
    person, _ = refused
    [kept] = person.json("rejected", "list")
    person.json("rejected", "discard", kept["op_id"])
    assert person.json("rejected") == []
    assert person.memctx("rejected", "show", kept["op_id"]).returncode == 1


def test_what_cannot_be_carried_out_here_either_stays_refused(
    refused: tuple[Person, str],
) -> None:
    person, _ = refused
    [kept] = person.json("rejected")
    done = person.memctx("rejected", "resend", kept["op_id"])
    assert done.returncode == 1
    assert len(person.json("rejected")) == 1
