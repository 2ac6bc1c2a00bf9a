"""What is damaged in a replica is found, and mended with what it takes and no more."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from memory_core.errors import ContextError, Corrupt, NotFound
from memory_core.sync.events import Pulled
from sync_agent.replica import NewProject, Replica
from sync_agent.sync import Renewed, Repaired, State, Verified, renew, repair, verify
from tests.support.hub import Hub
from tests.sync_agent.sync.lossy import LossyTransport
from tests.sync_agent.sync.sides import Side, World, world


@pytest.fixture
def here(hub: Hub, tmp_path: Path) -> Iterator[World]:
    with world(hub, tmp_path) as made:
        yield made


def filled(here: World, name: str, messages: int = 30) -> Side:
    side = here.side(name)
    for number in range(3):
        session = side.create(f"Session {number}")
        for message in range(messages // 3):
            side.append(session, f"message {message}")
    side.synced()
    return side


class ShortAnswers(LossyTransport):
    """A hub whose answers about single events end after the third."""

    def events(self, project_id: str, seqs: Sequence[int]) -> list[Pulled]:
        return super().events(project_id, seqs)[:3]


def verified(side: Side) -> Verified:
    return verify(side.replica, side.project_id, side.line, side.options())


def repaired(side: Side) -> Repaired:
    return repair(side.replica, side.project_id, side.line, side.options())


def damage(side: Side, statement: str, *values: object) -> None:
    """Changes the file behind the replica's back."""
    with closing(sqlite3.connect(side.path)) as connection:
        assert connection.execute(statement, values).rowcount > 0
        connection.commit()


def test_a_replica_that_is_well_costs_one_request(here: World) -> None:
    ann = filled(here, "ann")
    found = verified(ann)
    assert found.well
    assert (found.wire.requests, found.document()["damage"]) == (1, [])
    assert verified(here.side("empty")).well


def test_events_that_an_answer_had_no_room_for_are_asked_for_again(here: World) -> None:
    ann = filled(here, "ann")
    shown = ann.shown()
    damage(ann, "UPDATE records SET base = replace(base, 'e', 'x') WHERE kind = 'session'")
    line = ShortAnswers(ann.line.inner, random.Random(1))
    done = repair(ann.replica, ann.project_id, line, ann.options())
    assert (done.full, done.fetched) == (False, 33)
    assert ann.shown() == shown


@pytest.mark.parametrize("kind", ["message", "session"])
def test_a_damaged_record_is_made_anew_from_its_events(here: World, kind: str) -> None:
    ann = filled(here, "ann")
    shown = ann.shown()
    damage(
        ann,
        "UPDATE records SET base = replace(base, 'e', 'x') WHERE place ="
        " (SELECT min(place) FROM records WHERE kind = ?)",
        kind,
    )
    assert not verified(ann).well
    done = repaired(ann)
    assert (done.full, done.fetched) == (False, 11)
    assert done.after is not None
    assert done.after.well
    assert ann.shown() == shown


def test_damaged_rows_of_the_log_are_found_by_ranges(here: World) -> None:
    ann = filled(here, "ann", messages=300)
    wrong = sorted(random.Random(1).sample(range(1, 300), 3))
    for seq in wrong:
        damage(ann, "UPDATE log SET digest = zeroblob(32) WHERE seq = ?", seq)
    found = verified(ann)
    assert found.differing == wrong
    assert found.wire.requests <= 4
    done = repaired(ann)
    assert (done.full, done.fetched) == (False, 3)
    assert verified(ann).well


def test_the_cost_of_comparing_grows_with_the_difference(here: World) -> None:
    ann = filled(here, "ann", messages=900)
    costs = []
    for number in (1, 4, 16):
        damage(
            ann,
            "UPDATE log SET digest = zeroblob(32) WHERE seq IN"
            " (SELECT seq FROM log ORDER BY seq LIMIT ?)",
            number,
        )
        found = verified(ann)
        assert len(found.differing) == number
        costs.append(found.wire.received)
    assert costs[0] < 10_000
    assert costs[2] < 4 * costs[0]


def test_what_events_cannot_mend_is_read_again_whole(here: World) -> None:
    ann = filled(here, "ann")
    shown = ann.shown()
    damage(ann, "DELETE FROM records WHERE kind = 'message'")
    damage(ann, "UPDATE projects SET chain = zeroblob(32)")
    done = repaired(ann)
    assert done.full
    assert done.after is not None
    assert done.after.well
    assert ann.shown() == shown


def test_a_damaged_journal_is_not_mended_in_place(here: World) -> None:
    ann = here.side("ann")
    ann.create("Mine")
    damage(ann, "UPDATE journal SET body = replace(body, 'Mine', 'Thine')")
    with pytest.raises(Corrupt, match="journal"):
        repaired(ann)


def broken(side: Side, how: str) -> None:
    """Damages the file as a bad disk does; only what was pushed is lost with certainty."""
    with side.path.open("r+b") as file:
        if how == "empty":
            file.truncate(0)
        elif how == "short":
            file.truncate(side.path.stat().st_size * 2 // 3)
        else:
            file.write(b"\0" * 100)


@pytest.mark.parametrize("how", ["header", "short", "empty"])
def test_a_file_that_cannot_be_opened_is_set_aside_and_read_again(here: World, how: str) -> None:
    ann = filled(here, "ann")
    shown = ann.shown()
    ann.replica.purge()
    ann.replica.close()
    broken(ann, how)
    with pytest.raises(ContextError):
        Replica.open(ann.path).check()
    project = NewProject(id=ann.project_id, slug=str(here.project["slug"]))
    done = renew(ann.path, project)
    assert isinstance(done, Renewed)
    assert done.aside.exists()
    assert done.aside.name.startswith("replica.db.damaged-")
    ann.__post_init__()
    assert ann.synced().state is State.SYNCED
    assert ann.shown() == shown
    assert set(here.operations().values()) == {1}


def test_work_that_was_not_pushed_is_salvaged(here: World) -> None:
    ann = filled(here, "ann")
    waiting = [ann.create(f"Not pushed {number}") for number in range(3)]
    ann.replica.purge()
    ann.replica.close()
    pages = ann.path.stat().st_size // 4096
    with closing(sqlite3.connect(ann.path)) as connection:
        [(root,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'records'")
    assert 1 < root <= pages
    with ann.path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    done = renew(ann.path)
    assert done.unreadable == 0
    ann.__post_init__()
    assert all(ann.session(session)["pending"] for session in waiting)
    report = ann.synced()
    assert report.outcomes["accepted"] == 3
    assert set(waiting) <= here.sessions().keys()
    assert set(here.operations().values()) == {1}


def test_a_file_that_says_nothing_needs_to_be_told_what_it_held(here: World) -> None:
    ann = here.side("ann")
    ann.replica.close()
    ann.path.write_bytes(b"")
    with pytest.raises(NotFound):
        renew(ann.path)
    assert ann.path.exists()
