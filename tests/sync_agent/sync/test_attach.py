"""A replica that lived alone meets its hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory_core.errors import ContextError, Unauthorized
from memory_core.ids import uuid7
from sync_agent.replica import NewProject, Replica
from sync_agent.sync import attach
from tests.support.hub import Hub
from tests.sync_agent.sync.lossy import Fault
from tests.sync_agent.sync.sides import Side, World, world


@pytest.fixture
def here(hub: Hub, tmp_path: Path) -> Iterator[World]:
    with world(hub, tmp_path) as made:
        yield made


def alone(here: World, name: str, slug: str, **more: object) -> Side:
    """Makes a replica of a project that no hub knows."""
    new = NewProject(id=uuid7(), slug=slug, **more)  # type: ignore[arg-type]
    path = here.folder / name / "replica.db"
    Replica.create(path, new).close()
    side = Side(path, new.id, here.line())
    here.stack.callback(side.replica.close)
    return side


def attached(side: Side, here: World) -> None:
    side.project_id = attach(side.replica, side.project_id, side.line, hub=here.hub.url)


def test_all_that_was_written_alone_comes_to_a_new_hub(here: World) -> None:
    ann = alone(here, "ann", f"solo/{uuid7()}")
    session = ann.create("Before there was a hub", "offline")
    known = ann.project_id
    attached(ann, here)
    assert ann.project_id == known
    assert ann.replica.project(known).hub == here.hub.url
    assert ann.synced().outcomes == {"accepted": 1}
    here.project = {"id": ann.project_id}
    assert here.sessions()[session]["title"] == "Before there was a hub"
    assert "pending" not in ann.session(session)


def test_two_that_lived_alone_become_one_project(here: World) -> None:
    slug = f"shared/{uuid7()}"
    ann, bob = alone(here, "ann", slug), alone(here, "bob", slug)
    sessions = [ann.create("Ann's"), bob.create("Bob's")]
    for side in (ann, bob):
        attached(side, here)
        side.synced()
    ann.synced()
    assert ann.project_id == bob.project_id
    assert ann.shown() == bob.shown()
    assert sorted(ann.shown()) == sorted(f"session {session}" for session in sessions)


def test_a_lost_answer_is_asked_for_again(here: World) -> None:
    ann = alone(here, "ann", f"solo/{uuid7()}")
    ann.create("Mine")
    ann.line.plan = [Fault.ANSWER_LOST]
    with pytest.raises(ContextError):
        attached(ann, here)
    assert ann.replica.project(ann.project_id).hub is None
    attached(ann, here)
    assert ann.synced().outcomes == {"accepted": 1}


def test_a_slug_of_other_remotes_gets_the_host_before_it(here: World) -> None:
    name = uuid7()
    first = alone(here, "first", f"acme/{name}", remotes=[f"one.example/acme/{name}"])
    second = alone(here, "second", f"acme/{name}", remotes=[f"two.example/acme/{name}"])
    for side in (first, second):
        attached(side, here)
        side.synced()
    assert first.project_id != second.project_id
    assert second.replica.project(second.project_id).slug == f"two.example/acme/{name}"


def test_a_parent_that_the_hub_does_not_know_is_made_known(here: World) -> None:
    name = uuid7()
    part = alone(here, "part", f"acme/{name}/part", parent=f"acme/{name}")
    attached(part, here)
    whole = alone(here, "whole", f"acme/{name}", remotes=[f"one.example/acme/{name}"])
    attached(whole, here)
    with here.hub.client() as client:
        assert client.projects.get(part.project_id)["parent_id"] == whole.project_id
        assert client.projects.get(whole.project_id)["remotes"] == [f"one.example/acme/{name}"]


def test_a_hub_that_refuses_leaves_the_replica_as_it_was(here: World) -> None:
    ann = alone(here, "ann", f"solo/{uuid7()}")
    ann.line = here.line(key="mctx_0123456789ab_" + "x" * 43)
    before = ann.replica.projects()
    with pytest.raises(Unauthorized):
        attached(ann, here)
    assert ann.replica.projects() == before
