"""One cycle between real replicas and a real hub."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from memory_core.ids import uuid7
from memory_core.sync import protocol
from sync_agent.replica import State as Journal
from sync_agent.sync import State, Watch, http
from sync_agent.sync.cycle import MAX_ROUNDS
from tests.support.hub import Hub
from tests.support.patience import BUSY_S
from tests.sync_agent.sync.lossy import Fault
from tests.sync_agent.sync.sides import World, world


@pytest.fixture
def here(hub: Hub, tmp_path: Path) -> Iterator[World]:
    with world(hub, tmp_path) as made:
        yield made


def test_what_is_written_here_comes_to_the_hub_and_to_others(here: World) -> None:
    ann, bob = here.side("ann"), here.side("bob")
    session = ann.create("Fix the login", "it fails at night", "the clock was wrong")
    report = ann.synced()
    assert (report.pushed, report.outcomes, report.pending) == (1, {"accepted": 1}, 0)
    assert here.sessions()[session]["title"] == "Fix the login"
    bob.synced()
    assert bob.session(session)["message_count"] == 2
    assert bob.shown() == ann.shown()
    assert here.operations()[ann.acknowledged[0]] == 1


def test_a_cycle_with_nothing_new_is_one_request(here: World) -> None:
    ann = here.side("ann")
    ann.create()
    ann.synced()
    report = ann.synced()
    assert (report.wire.requests, report.rounds) == (1, 1)
    assert (report.pulled, report.pushed, report.behind) == (0, 0, 0)
    assert 0 < report.wire.received < 2_000
    assert not report.progressed


def test_a_cycle_ends_well_while_somebody_writes_all_the_time(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = here.side("ann")
    first = ann.create("First")
    push = ann.line.push

    def push_and_write(*arguments: Any) -> Any:
        ann.create("Written meanwhile")
        return push(*arguments)

    monkeypatch.setattr(ann.line, "push", push_and_write)
    report = ann.synced()
    assert report.rounds == MAX_ROUNDS
    assert report.pending == 1
    assert first in here.sessions()


def test_a_cycle_with_work_is_three_requests(here: World) -> None:
    ann = here.side("ann")
    for number in range(7):
        ann.create(f"Session {number}")
    report = ann.synced()
    assert report.wire.requests == 3
    assert report.document()["outcomes"] == {"accepted": 7}


def test_the_view_shows_own_work_until_its_effect_has_been_pulled(here: World) -> None:
    ann = here.side("ann")
    session = ann.create("First")
    ann.line.plan = [None, None, Fault.REQUEST_LOST]
    report = ann.sync()
    assert report.outcomes == {"accepted": 1}
    assert (report.state, report.pending) == (State.STOPPED, 0)
    assert ann.session(session)["pending"] is True
    ann.synced()
    assert "pending" not in ann.session(session)
    assert ann.states() == {Journal.SETTLED: 1}


@pytest.mark.parametrize("fault", list(Fault))
def test_a_push_that_is_disturbed_happens_once(here: World, fault: Fault) -> None:
    ann = here.side("ann")
    session = ann.create("Once")
    ann.append(session, "and only once")
    ann.line.plan = [None, fault]
    first = ann.sync()
    assert (first.problem is None) == (fault is Fault.TWICE)
    ann.line.heal()
    ann.synced()
    ann.line.arrive()
    ann.synced()
    operations = here.operations()
    assert [operations[op_id] for op_id in ann.acknowledged] == [1, 1]
    assert here.sessions()[session]["message_count"] == 1
    assert ann.states() == {Journal.SETTLED: 2}


def test_many_operations_go_in_several_pushes(here: World) -> None:
    ann = here.side("ann")
    session = ann.create("Long")
    for number in range(protocol.MAX_OPERATIONS + 20):
        ann.append(session, f"message {number}")
    report = ann.synced()
    assert report.pushed == protocol.MAX_OPERATIONS + 21
    assert report.outcomes == {"accepted": report.pushed}
    assert here.sessions()[session]["message_count"] == protocol.MAX_OPERATIONS + 20


def test_both_sides_change_one_field_and_the_hub_keeps_both(here: World) -> None:
    ann, bob = here.side("ann"), here.side("bob")
    session = ann.create("Ours")
    ann.synced()
    bob.synced()
    ann.rename(session, "Ann's")
    bob.rename(session, "Bob's")
    ann.synced()
    report = bob.synced()
    assert report.outcomes == {"conflict": 1}
    assert report.conflicts == 1
    assert bob.session(session)["title"] == "Ann's"
    [conflict] = bob.replica.conflicts(project_id=bob.project_id)
    assert (conflict["kept"], conflict["pushed"]) == ("Ann's", "Bob's")


def test_what_the_hub_refuses_is_kept_with_its_reason_and_blocks_nothing(here: World) -> None:
    ann, bob = here.side("ann"), here.side("bob")
    session = ann.create("Gone soon")
    ann.synced()
    bob.synced()
    ann.delete(session)
    ann.synced()
    bob.rename(session, "Still here?")
    other = bob.create("Behind it")
    report = bob.synced()
    assert report.outcomes == {"accepted": 1, "rejected": 1}
    assert (report.rejected, report.pending) == (1, 0)
    [row] = bob.replica.journal(bob.project_id, states=[Journal.REJECTED])
    assert row.result is not None
    assert row.result["problem"]["code"] == "deleted"  # type: ignore[index,call-overload]
    assert other in here.sessions()


def test_what_is_lost_to_an_erasure_is_told_and_says_nothing_more(here: World) -> None:
    ann, bob = here.side("ann"), here.side("bob")
    session = ann.create("Gone soon")
    ann.synced()
    bob.synced()
    ann.delete(session, erase=True)
    ann.synced()
    bob.rename(session, "A secret word")
    report = bob.synced()
    assert (report.rejected, report.pending) == (1, 0)
    [row] = bob.replica.journal(bob.project_id, states=[Journal.REJECTED])
    assert row.op_id == bob.acknowledged[0]
    assert "erased" in str(row.result)
    assert "A secret word" not in str(row)


def test_a_hub_that_is_away_stops_the_cycle_and_nothing_else(here: World) -> None:
    ann = here.side("ann")
    session = ann.create("In the tunnel")
    ann.line.share = 1.0
    ann.line.plan = [Fault.REQUEST_LOST]
    report = ann.sync()
    assert report.state is State.STOPPED
    assert report.problem is not None
    assert report.problem.code == "hub_unreachable"
    assert report.pending == 1
    ann.append(session, "still writing")
    ann.line.heal()
    assert ann.synced().outcomes == {"accepted": 2}


def test_a_key_that_is_refused_stops_the_cycle_and_the_journal_stays(here: World) -> None:
    ann = here.side("ann", key="mctx_0123456789ab_" + "x" * 43)
    ann.create("Mine")
    report = ann.sync()
    assert report.problem is not None
    assert report.problem.code == "unauthorized"
    assert (report.state, report.pending) == (State.STOPPED, 1)
    ann.line = here.line()
    assert ann.synced().outcomes == {"accepted": 1}


def test_another_version_stops_the_cycle_and_says_which_side_is_old(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = here.side("ann")
    ann.create("Mine")
    monkeypatch.setattr(http, "PROTOCOL", protocol.PROTOCOL + 1)
    report = ann.sync()
    assert report.problem is not None
    assert report.problem.code == "upgrade_required"
    assert "upgrade" in report.problem.detail
    assert report.pending == 1
    monkeypatch.undo()
    assert ann.synced().outcomes == {"accepted": 1}


def test_answers_to_pushes_that_never_come_raise_the_alarm(here: World) -> None:
    ann, watch = here.side("ann"), Watch()
    ann.create("Nobody says what became of it")
    for _ in range(2):
        ann.line.plan = [None, Fault.ANSWER_LOST]
        report = ann.sync()
        watch = watch.after(report)
    problem = watch.problem(report)
    assert problem is not None
    assert problem.code == "sync_stalled"
    report = ann.synced()
    assert watch.after(report).problem(report) is None
    assert set(here.operations().values()) == {1}


def test_a_file_that_another_program_holds_makes_the_sync_skip_a_turn(here: World) -> None:
    ann = here.side("ann")
    session = ann.create("Mine")
    with closing(sqlite3.connect(ann.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        report = ann.sync()
        assert report.problem is not None
        assert report.problem.code == "busy"
        assert ann.session(session)["title"] == "Mine"
        other.execute("ROLLBACK")
    assert ann.synced().outcomes == {"accepted": 1}


def test_a_pull_that_waits_answers_when_something_comes(here: World) -> None:
    ann, bob = here.side("ann"), here.side("bob")
    ann.synced()
    bob.create("News")
    reports = []
    began = time.monotonic()
    waiting = threading.Thread(target=lambda: reports.append(ann.sync(wait=25)))
    waiting.start()
    bob.synced()
    waiting.join(30)
    assert not waiting.is_alive()
    assert time.monotonic() - began < 10 + BUSY_S
    assert reports[0].pulled == 1


def test_waiting_keeps_nobody_from_syncing(here: World) -> None:
    ann = here.side("ann")
    ann.synced()
    reports = []
    waiting = threading.Thread(target=lambda: reports.append(ann.sync(wait=4)))
    waiting.start()
    other = here.side("ann")
    while waiting.is_alive():
        assert other.sync().state is State.SYNCED
        time.sleep(0.05)
    assert (reports[0].state, reports[0].wire.requests) == (State.SYNCED, 1)


def test_a_new_identity_pushes_what_the_hub_has_and_nothing_happens_twice(here: World) -> None:
    ann = here.side("ann")
    ann.create("One")
    ann.create("Two")
    ann.synced()
    ann.replica.renumber(uuid7())
    ann.create("Three")
    report = ann.synced()
    assert report.outcomes == {"duplicate": 2, "accepted": 1}
    assert set(here.operations().values()) == {1}
