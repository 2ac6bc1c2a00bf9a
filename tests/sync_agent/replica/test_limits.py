"""A replica stays small, and never lets go of what it must keep."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.clock import from_datetime, to_datetime
from memory_core.errors import Conflict, NotFound
from memory_core.ids import derive_id
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    NewMessage,
    UpdateSession,
)
from memory_core.records import Kind, PatternType, Ref, Role
from sync_agent.errors import NotHeld
from sync_agent.replica import Limits, Replica, State
from sync_agent.replica.journal import entry_of
from tests.sync_agent.replica.hubs import NEW, PROJECT, FakeLog, operation

NOW = "2026-11-21T12:00:00.000000Z"


def days_ago(days: int) -> str:
    moment = to_datetime(NOW)
    return from_datetime(moment.fromtimestamp(moment.timestamp() - 86_400 * days, moment.tzinfo))


def named(kind: str, number: int) -> str:
    return derive_id(NOW, kind, str(number))


def fill(log: FakeLog, *, sessions: int = 6, patterns: int = 4) -> None:
    """Session n was last changed n days ago, pattern n too."""
    for number in reversed(range(sessions)):
        message = NewMessage(role=Role.USER, text=f"said in {number}")
        body = CreateSession(title=f"s{number}", messages=[message])
        log.do(operation(Kind.SESSION, body, named("session", number)), at=days_ago(number))
        saved = CreateCheckpoint(session_id=named("session", number), description="saved")
        log.do(operation(Kind.CHECKPOINT, saved), at=days_ago(number))
    for number in reversed(range(patterns)):
        lesson = CreatePattern(pattern_type=PatternType.CODE, name=f"p{number}")
        log.do(operation(Kind.PATTERN, lesson, named("pattern", number)), at=days_ago(number))


def titles(replica: Replica) -> set[str]:
    return {str(item["title"]) for item in replica.sessions(limit=100).items}


def test_the_least_recently_used_go_first_and_the_index_is_told(
    replica: Replica, log: FakeLog
) -> None:
    fill(log)
    replica.apply_page(PROJECT, log.page(0))
    at = replica.changes(PROJECT, 0, 100)[-1].change_no
    replica.mark_used(
        [Ref(Kind.MESSAGE, str(replica.messages(named("session", 5))[0]["id"]))], at=NOW
    )
    gone = replica.evict(PROJECT, Limits(max_sessions=3, max_patterns=2), at=NOW)
    assert titles(replica) == {"s0", "s1", "s5"}
    assert {str(item["name"]) for item in replica.patterns().items} == {"p0", "p1"}
    told = replica.changes(PROJECT, at, 100)
    assert {change.ref for change in told if change.document is None} == set(gone)
    with pytest.raises(NotHeld):
        replica.get(Kind.SESSION, named("session", 3))
    with pytest.raises(NotHeld):
        replica.messages(named("session", 3))
    assert len(replica.checkpoints(limit=100).items) == 3
    assert replica.check() == []
    # What is fetched again is whole again.
    ref = Ref(Kind.SESSION, named("session", 3))
    items = [(ref.kind, log.state[ref])]
    items += [(r.kind, one) for r, one in log.state.items() if one.get("session_id") == ref.id]
    assert replica.put_records(PROJECT, items) == 3
    assert len(replica.messages(ref.id)) == 1


def test_age_counts_for_sessions_but_not_for_patterns(replica: Replica, log: FakeLog) -> None:
    fill(log)
    lone = operation(Kind.CHECKPOINT, CreateCheckpoint(description="of no session"))
    log.do(lone, at=days_ago(5))
    replica.apply_page(PROJECT, log.page(0))
    replica.evict(PROJECT, Limits(max_age_days=3), at=NOW)
    assert titles(replica) == {"s0", "s1", "s2", "s3"}
    assert len(replica.patterns().items) == 4
    with pytest.raises(NotHeld):
        replica.get(Kind.CHECKPOINT, lone.record_id)


def test_what_is_pending_pinned_or_disputed_stays(replica: Replica, log: FakeLog) -> None:
    fill(log)
    disputed = named("session", 5)
    base = next(event.op_id for event in log.events if event.record_id == disputed)
    for title in ("first", "second"):
        log.do(operation(Kind.SESSION, UpdateSession(title=title), disputed, base=base), at=NOW)
    replica.apply_page(PROJECT, log.page(0))
    assert len(replica.conflicts()) == 1
    message = NewMessage(role=Role.USER, text="more")
    replica.write(
        PROJECT,
        operation(Kind.SESSION, AppendMessages(messages=[message]), named("session", 4)),
    )
    replica.pin(Kind.SESSION, named("session", 3))
    replica.pin(Kind.PATTERN, named("pattern", 2))
    replica.evict(PROJECT, Limits(max_sessions=0, max_patterns=0, max_age_days=0), at=NOW)
    assert titles(replica) == {"first", "s4", "s3"}
    assert [item["name"] for item in replica.patterns().items] == ["p2"]


def test_one_can_still_refer_to_what_only_the_hub_has(replica: Replica, log: FakeLog) -> None:
    fill(log)
    replica.apply_page(PROJECT, log.page(0))
    replica.evict(PROJECT, Limits(max_sessions=1), at=NOW)
    gone = named("session", 4)
    body = CreatePattern(pattern_type=PatternType.CODE, name="from it", source_session_id=gone)
    written = replica.write(PROJECT, operation(Kind.PATTERN, body))
    assert written.document is not None
    with pytest.raises(NotHeld):
        replica.write(PROJECT, operation(Kind.SESSION, UpdateSession(title="x"), gone))


@settings(max_examples=20, deadline=None)
@given(
    sessions=st.integers(0, 7),
    patterns=st.integers(0, 5),
    age=st.integers(0, 7),
    pinned=st.sets(st.integers(0, 5)),
)
def test_no_more_stays_than_the_limits_and_what_must(
    tmp_path_factory: pytest.TempPathFactory,
    sessions: int,
    patterns: int,
    age: int,
    pinned: set[int],
) -> None:
    log = FakeLog()
    fill(log)
    with Replica.create(tmp_path_factory.mktemp("small") / "replica.db", NEW) as replica:
        replica.apply_page(PROJECT, log.page(0))
        for number in pinned:
            replica.pin(Kind.SESSION, named("session", number))
        limits = Limits(max_sessions=sessions, max_patterns=patterns, max_age_days=age)
        replica.evict(PROJECT, limits, at=NOW)
        fresh = {number for number in range(6) if number <= age}
        # The pinned count too, and the oldest of the others make room for them.
        surplus = max(0, 6 - sessions)
        free = [number for number in reversed(range(6)) if number not in pinned]
        kept = (fresh - set(free[:surplus])) | pinned
        assert titles(replica) == {f"s{number}" for number in kept}
        assert len(replica.patterns().items) == min(4, patterns)
        assert replica.check() == []


def test_what_settled_long_ago_is_pruned_but_never_the_last_number(
    replica: Replica, log: FakeLog
) -> None:
    for title in ("one", "two", "three"):
        replica.write(PROJECT, operation(Kind.SESSION, CreateSession(title=title)))
    for row in replica.journal(PROJECT):
        answer = log.push(row.number, entry_of(row).operation, row.at, row.hash)
        replica.store_results(PROJECT, [answer])
    replica.apply_page(PROJECT, log.page(0))
    assert replica.prune() == 0
    assert replica.prune(at="2027-11-21T12:00:00.000000Z") == 2
    assert [row.number for row in replica.journal(PROJECT)] == [3]
    assert replica.write(PROJECT, operation(Kind.SESSION, CreateSession(title="four"))).number == 4


def test_only_what_was_rejected_can_be_let_go(replica: Replica, log: FakeLog) -> None:
    made = operation(Kind.SESSION, CreateSession(title="s"))
    log.do(made, actor="ada")
    replica.apply_page(PROJECT, log.page(0))
    saved = CreateCheckpoint(session_id=made.record_id, description="late")
    late = operation(Kind.CHECKPOINT, saved)
    replica.write(PROJECT, late)
    with pytest.raises(Conflict):
        replica.discard(late.op_id)
    log.events.clear()
    log.state.clear()
    (row,) = replica.journal(PROJECT)
    answer = log.push(1, late, row.at, row.hash)
    replica.store_results(PROJECT, [answer])
    assert replica.settle(PROJECT) == [1]
    replica.discard(late.op_id)
    assert replica.journal(PROJECT)[0].state is State.DISCARDED
    with pytest.raises(NotFound):
        replica.discard(made.op_id)


def test_a_local_replica_gives_up_nothing(tmp_path: Path) -> None:
    with Replica.create(tmp_path / "replica.db", NEW) as replica:
        for number in range(5):
            replica.write(PROJECT, operation(Kind.SESSION, CreateSession(title=f"s{number}")))
        none = Limits(max_sessions=0, max_patterns=0, max_age_days=0)
        assert replica.evict(PROJECT, none, at="2030-01-01T00:00:00.000000Z") == []
