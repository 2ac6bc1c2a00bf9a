"""Pages of the log: what is checked before anything is written, and what is never applied twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from memory_core.errors import ContextError, Corrupt, EpochChanged
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Delete,
    NewMessage,
    RecordOutcome,
    UpdateSession,
)
from memory_core.records import Document, Kind, PatternType, Ref, Role
from memory_core.sync.events import Pulled
from sync_agent.errors import PageOutOfOrder
from sync_agent.exchange import Acked, PulledPage
from sync_agent.replica import Replica, State
from sync_agent.replica.journal import entry_of
from sync_agent.replica.records import loads
from tests.sync_agent.replica.hubs import NEW, PROJECT, FakeLog, operation, replay


def said(text: str) -> NewMessage:
    return NewMessage(role=Role.USER, text=text)


def bases(replica: Replica) -> dict[Ref, Document]:
    with replica._file.reading() as connection:
        found = connection.execute("SELECT kind, id, base FROM records WHERE base NOT NULL")
        return {Ref(Kind(kind), one): loads(base) for kind, one, base in found}


def filled(log: FakeLog, count: int = 3) -> list[str]:
    made = []
    for number in range(count):
        body = CreateSession(title=f"s{number}", messages=[said("one"), said("two")])
        made.append(operation(Kind.SESSION, body).record_id)
        log.do(operation(Kind.SESSION, body, made[-1]))
    return made


def _changed(page: PulledPage, index: int, **values: object) -> PulledPage:
    items = list(page.items)
    items[index] = Pulled(replace(items[index].event, **values))  # type: ignore[arg-type]
    return replace(page, items=items)


BROKEN: dict[str, tuple[type[ContextError], Callable[[PulledPage], PulledPage]]] = {
    "another cursor": (PageOutOfOrder, lambda page: replace(page, after=2)),
    "another epoch": (EpochChanged, lambda page: replace(page, epoch="e2")),
    "a changed content": (
        Corrupt,
        lambda page: _changed(page, 1, content={"text": "forged"}),
    ),
    "a changed author": (Corrupt, lambda page: _changed(page, 1, actor="eve")),
    "a gap": (Corrupt, lambda page: replace(page, items=[*page.items[:1], *page.items[2:]])),
    "another order": (Corrupt, lambda page: replace(page, items=[*page.items[::-1]])),
    "another project": (Corrupt, lambda page: _changed(page, 0, project_id="p")),
    "another end": (Corrupt, lambda page: replace(page, next_after=page.next_after - 1)),
    "another digest": (Corrupt, lambda page: replace(page, digest=b"x" * 32)),
    "an untrue end": (Corrupt, lambda page: replace(page, up_to_date=not page.up_to_date)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_page_that_is_not_whole_changes_nothing(
    replica: Replica, log: FakeLog, what: str
) -> None:
    filled(log)
    replica.apply_page(PROJECT, log.page(0, 3))
    before, project = bases(replica), replica.project(PROJECT)
    error, change = BROKEN[what]
    with pytest.raises(error):
        replica.apply_page(PROJECT, change(log.page(3, 4)))
    assert (bases(replica), replica.project(PROJECT)) == (before, project)
    assert replica.apply_page(PROJECT, log.page(3, 4)).cursor == 7


def test_a_repeated_page_is_refused(replica: Replica, log: FakeLog) -> None:
    filled(log)
    replica.apply_page(PROJECT, log.page(0, 3))
    with pytest.raises(PageOutOfOrder):
        replica.apply_page(PROJECT, log.page(0, 3))


def test_records_that_came_with_a_snapshot_take_only_later_events(
    log: FakeLog, replica: Replica
) -> None:
    ids = filled(log)
    at = len(log.events)
    digest = log.events[-1].digest
    # The snapshot began at ``at``, and its pages were read after more had happened.
    log.do(operation(Kind.SESSION, AppendMessages(messages=[said("three")]), ids[0]))
    log.do(operation(Kind.SESSION, UpdateSession(title="new"), ids[1]))
    made = [(ref.kind, {**one, "project": "acme/api"}) for ref, one in log.state.items()]
    sessions = [item for item in made if item[0] is Kind.SESSION]
    others = [item for item in made if item[0] is not Kind.SESSION]
    assert replica.put_records(PROJECT, sessions) == 3
    log.do(operation(Kind.SESSION, Delete(), ids[2]))
    assert replica.put_records(PROJECT, others) == len(others)
    replica.place(PROJECT, epoch=log.epoch, seq=at, digest=digest, actor="ada")
    project = replica.project(PROJECT)
    assert (project.cursor, project.floor) == (at, at)
    while not (page := log.page(replica.project(PROJECT).cursor, 1)).up_to_date:
        replica.apply_page(PROJECT, page)
    replica.apply_page(PROJECT, page)
    assert bases(replica) == replay(log.events)
    assert replica.check() == []
    assert [change.ref.kind for change in replica.changes(PROJECT, 0)].count(Kind.MESSAGE) == 7


def test_a_lost_answer_does_not_count_an_outcome_twice(replica: Replica, log: FakeLog) -> None:
    pattern = operation(Kind.PATTERN, CreatePattern(pattern_type=PatternType.CODE, name="p"))
    log.do(pattern)
    replica.apply_page(PROJECT, log.page(0))
    worked = operation(Kind.PATTERN, RecordOutcome(success=True), pattern.record_id)
    replica.write(PROJECT, worked)
    (row,) = replica.journal(PROJECT)
    log.push(1, entry_of(row).operation, row.at, row.hash)
    replica.apply_page(PROJECT, log.page(1))
    assert replica.get(Kind.PATTERN, pattern.record_id)["successes"] == 1
    (row,) = replica.journal(PROJECT)
    assert (row.state, row.overlaid) == (State.PENDING, False)
    replica.store_results(PROJECT, [log.push(1, entry_of(row).operation, row.at, row.hash)])
    (row,) = replica.journal(PROJECT)
    assert (row.state, row.outcome) == (State.SETTLED, "duplicate")


def test_an_operation_of_many_events_stays_shown_until_the_last_has_come(
    replica: Replica, log: FakeLog
) -> None:
    body = CreateSession(title="Long", messages=[said(str(number)) for number in range(6)])
    made = operation(Kind.SESSION, body)
    replica.write(PROJECT, made)
    (row,) = replica.journal(PROJECT)
    log.push(1, entry_of(row).operation, row.at, row.hash)
    for cursor in (0, 3, 6):
        replica.apply_page(PROJECT, log.page(cursor, 3))
        assert len(replica.messages(made.record_id)) == 6
        (row,) = replica.journal(PROJECT)
        assert row.overlaid is (cursor != 6)


def test_another_journal_at_the_hub_under_our_name_is_noticed(
    replica: Replica, log: FakeLog
) -> None:
    replica.write(PROJECT, operation(Kind.SESSION, CreateSession(title="ours")))
    for acked in (Acked(number=1, hash=b"x" * 32), Acked(number=9, hash=b"x" * 32)):
        page = replace(log.page(0), acked=acked)
        assert not replica.apply_page(PROJECT, page).acked_known
        assert replica.sessions().items[0]["pending"]


def test_events_of_what_was_evicted_do_no_harm(replica: Replica, log: FakeLog) -> None:
    from sync_agent.replica import Limits

    ids = filled(log)
    replica.apply_page(PROJECT, log.page(0))
    replica.evict(PROJECT, Limits(max_sessions=1))
    held = {str(item["id"]) for item in replica.sessions().items}
    gone = next(identity for identity in ids if identity not in held)
    checkpoint = CreateCheckpoint(session_id=gone, description="later")
    log.do(operation(Kind.SESSION, AppendMessages(messages=[said("later")]), gone))
    log.do(operation(Kind.SESSION, UpdateSession(title="later"), gone))
    log.do(operation(Kind.CHECKPOINT, checkpoint))
    log.do(operation(Kind.SESSION, Delete(), gone))
    replica.apply_page(PROJECT, log.page(replica.project(PROJECT).cursor))
    assert {str(item["id"]) for item in replica.sessions().items} == held
    assert replica.checkpoints().items == []
    assert replica.check() == []


def test_a_project_gets_the_id_that_the_hub_knows_it_by(tmp_path, log: FakeLog) -> None:  # type: ignore[no-untyped-def]
    local = replace(NEW, id="01900000-0000-7000-8000-00000000000f", actor="local")
    with Replica.create(tmp_path / "replica.db", local) as replica:
        made = operation(Kind.SESSION, CreateSession(title="before", messages=[said("one")]))
        replica.write(local.id, made)
        replica.rekey(local.id, PROJECT)
        assert [project.id for project in replica.projects()] == [PROJECT]
        assert replica.get(Kind.SESSION, made.record_id)["project_id"] == PROJECT
        assert replica.check() == []
        (row,) = replica.journal(PROJECT)
        replica.store_results(PROJECT, [log.push(1, entry_of(row).operation, row.at, row.hash)])
        replica.apply_page(PROJECT, log.page(0))
        shown = replica.get(Kind.SESSION, made.record_id)
        assert (shown["owner"], "pending" in shown) == ("ada", False)
        with pytest.raises(ContextError, match="synchronised already"):
            replica.rekey(PROJECT, local.id)


def test_who_the_hub_takes_us_for_is_shown_on_pending_work_too(
    replica: Replica, log: FakeLog
) -> None:
    made = operation(Kind.SESSION, CreateSession(title="ours"))
    replica.write(PROJECT, made)
    replica.apply_page(PROJECT, log.page(0, actor="ada lovelace"))
    assert replica.get(Kind.SESSION, made.record_id)["owner"] == "ada lovelace"


def test_what_a_restored_hub_lacks_is_pending_again(replica: Replica, log: FakeLog) -> None:
    for title in ("one", "two"):
        replica.write(PROJECT, operation(Kind.SESSION, CreateSession(title=title)))
    for row in replica.journal(PROJECT):
        replica.store_results(
            PROJECT, [log.push(row.number, entry_of(row).operation, row.at, row.hash)]
        )
    replica.apply_page(PROJECT, log.page(0))
    assert replica.counts(PROJECT).pending == 0
    rows = replica.journal(PROJECT)
    restored = FakeLog(epoch="e2")
    restored.push(1, entry_of(rows[0]).operation, rows[0].at, rows[0].hash)
    with Replica.create(replica.path.with_name("fresh.db"), NEW) as fresh:
        fresh.carry(rows, replica_id=replica.replica_id)
        fresh.apply_page(PROJECT, restored.page(0))
        assert fresh.reopen(PROJECT, after=1) == 1
        assert [row.number for row in fresh.journal(PROJECT, states=[State.PENDING])] == [2]
        shown = {str(item["title"]): item.get("pending", False) for item in fresh.sessions().items}
        assert shown == {"one": False, "two": True}


def test_results_that_a_restored_hub_lost_are_not_confirmed(replica: Replica, log: FakeLog) -> None:
    for title in ("one", "two"):
        replica.write(PROJECT, operation(Kind.SESSION, CreateSession(title=title)))
    for row in replica.journal(PROJECT):
        answer = log.push(row.number, entry_of(row).operation, row.at, row.hash)
        replica.store_results(PROJECT, [answer])
    assert replica.project(PROJECT).confirmed == 2
    replica.reopen(PROJECT, after=1)
    assert replica.project(PROJECT).confirmed == 1
    replica.reopen(PROJECT, after=7)
    assert replica.project(PROJECT).confirmed == 1


def test_single_events_put_a_record_right_again(replica: Replica, log: FakeLog) -> None:
    ids = filled(log)
    replica.apply_page(PROJECT, log.page(0))
    before = bases(replica)
    with replica._file.writing() as connection:
        connection.execute(
            "UPDATE records SET base = replace(base, 's0', 'XX') WHERE id = ?", (ids[0],)
        )
        connection.execute("UPDATE log SET digest = zeroblob(32) WHERE seq = 2")
    assert replica.damaged_roots(PROJECT) == [ids[0]]
    seqs = replica.seqs_of(PROJECT, [ids[0]])
    assert seqs == [1, 2, 3]
    events = [Pulled(event) for event in log.events if event.seq in seqs]
    fixed = replica.repair(PROJECT, events)
    assert {ref.id for ref in fixed} == {event.event.record_id for event in events}
    assert bases(replica) == before
    assert replica.check() == []
    assert replica.digests(PROJECT, 1, 3) == [(e.seq, e.digest) for e in log.events[:3]]
