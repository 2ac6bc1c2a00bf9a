"""What is erased or withheld leaves the replica everywhere."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from memory_core.errors import Deleted, NotFound
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Erase,
    NewMessage,
    Operation,
    UpdateSession,
)
from memory_core.records import Kind, PatternType, Privacy, Ref, Role
from sync_agent.replica import Replica, State
from sync_agent.replica.journal import entry_of
from tests.sync_agent.replica import child
from tests.sync_agent.replica.hubs import PROJECT, FakeLog, operation

SECRET = "unrepeatable-xylophone"


def said(text: str) -> NewMessage:
    return NewMessage(role=Role.USER, text=text)


def raw(replica: Replica) -> bytes:
    """Returns every byte of every file of the replica."""
    files: list[Path] = [path for path in replica.path.parent.iterdir() if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


def push(replica: Replica, log: FakeLog) -> None:
    for row in replica.journal(PROJECT, states=[State.PENDING]):
        answer = log.push(row.number, entry_of(row).operation, row.at, row.hash)
        replica.store_results(PROJECT, [answer])


def pull(replica: Replica, log: FakeLog) -> None:
    replica.apply_page(PROJECT, log.page(replica.project(PROJECT).cursor))


def holding(kind: Kind) -> list[Operation]:
    """Returns operations that make a record of ``kind`` with the secret in it; it is the last."""
    session = operation(Kind.SESSION, CreateSession(
        title=SECRET if kind is Kind.SESSION else "kept", messages=[said("kept too")]))  # fmt: skip
    match kind:
        case Kind.SESSION:
            return [session]
        case Kind.MESSAGE:
            return [session, operation(
                Kind.SESSION, AppendMessages(messages=[said("before"), said(SECRET * 300)]),
                session.record_id)]  # fmt: skip
        case Kind.CHECKPOINT:
            body = CreateCheckpoint(session_id=session.record_id, description=SECRET)
            return [session, operation(kind, body)]
        case _:
            body_ = CreatePattern(pattern_type=PatternType.CODE, name="p", body=SECRET)
            return [operation(Kind.PATTERN, body_)]


@pytest.mark.parametrize("kind", [Kind.SESSION, Kind.MESSAGE, Kind.CHECKPOINT, Kind.PATTERN])
@pytest.mark.parametrize("journal", ["pulled", "settled", "unanswered"])
def test_what_was_erased_is_in_no_byte_of_any_file(
    replica: Replica, log: FakeLog, kind: Kind, journal: str
) -> None:
    made = holding(kind)
    if journal == "pulled":
        for each in made:
            log.do(each, actor="ada")
        pull(replica, log)
    else:
        for each in made:
            replica.write(PROJECT, each)
    if journal == "settled":
        push(replica, log)
        pull(replica, log)
    if journal == "unanswered":
        for row in replica.journal(PROJECT):
            log.push(row.number, entry_of(row).operation, row.at, row.hash)
    assert SECRET.encode() in raw(replica)
    erased = made[-1].record_id
    if kind is Kind.MESSAGE:
        erased = next(ref.id for ref, one in log.state.items() if SECRET in str(one.get("text")))
    log.do(operation(kind, Erase(), erased), actor="ada")
    pull(replica, log)
    assert SECRET.encode() not in raw(replica)
    with pytest.raises((Deleted, NotFound)):
        replica.get(kind, erased)
    assert replica.check() == []
    if kind is Kind.MESSAGE:
        assert [m["text"] for m in replica.messages(made[0].record_id)] == ["kept too", "before"]
    # The journal still counts on, and what is left of it can still be pushed.
    replica.write(PROJECT, operation(Kind.SESSION, CreateSession(title="next")))
    push(replica, log)
    pull(replica, log)
    assert replica.counts(PROJECT).pending == 0


@pytest.mark.parametrize("kind", [Kind.SESSION, Kind.MESSAGE])
def test_pending_work_on_what_was_erased_goes_too_and_is_accounted_for(
    replica: Replica, log: FakeLog, kind: Kind
) -> None:
    first = said("first").model_copy(update={"id": "01900000-0000-7000-8000-0000000000aa"})
    made = operation(Kind.SESSION, CreateSession(title="theirs", messages=[first]))
    log.do(made, actor="ada")
    pull(replica, log)
    if kind is Kind.SESSION:
        pending = operation(Kind.SESSION, UpdateSession(summary=SECRET), made.record_id)
        erase = operation(Kind.SESSION, Erase(), made.record_id)
    else:
        again = first.model_copy(update={"text": SECRET})
        pending = operation(Kind.SESSION, AppendMessages(messages=[again]), made.record_id)
        erase = operation(Kind.MESSAGE, Erase(), str(first.id))
    replica.write(PROJECT, pending)
    log.do(erase, actor="ada")
    pull(replica, log)
    assert SECRET.encode() not in raw(replica)
    (row,) = replica.journal(PROJECT)
    assert (row.number, row.op_id, row.state) == (1, pending.op_id, State.PENDING)
    push(replica, log)
    pull(replica, log)
    (row,) = replica.journal(PROJECT)
    assert row.state is State.REJECTED
    if kind is Kind.MESSAGE:
        # What is not erased is not removed by it.
        assert replica.get(Kind.SESSION, made.record_id)["title"] == "theirs"


def test_a_reader_only_puts_off_that_erased_text_leaves_the_log(
    replica: Replica, log: FakeLog
) -> None:
    made = operation(Kind.SESSION, CreateSession(title=SECRET))
    log.do(made, actor="ada")
    pull(replica, log)
    log.do(operation(Kind.SESSION, Erase(), made.record_id), actor="ada")
    with Replica.open(replica.path) as other, other._file.reading() as connection:
        connection.execute("SELECT count(*) FROM records").fetchone()
        pull(replica, log)
        assert SECRET.encode() in raw(replica)
        assert not replica.purge()
    assert replica.purge()
    assert SECRET.encode() not in raw(replica)


def test_who_dies_before_the_log_is_emptied_leaves_it_to_the_next(
    replica: Replica, log: FakeLog, tmp_path: Path
) -> None:
    made = operation(Kind.SESSION, CreateSession(title=SECRET))
    log.do(made, actor="ada")
    pull(replica, log)
    log.do(operation(Kind.SESSION, Erase(), made.record_id), actor="ada")
    cursor = replica.project(PROJECT).cursor
    page = child.save_page(tmp_path / "page.json", log.page(cursor))
    died = child.run("apply", str(replica.path), str(page), failpoint="after-commit")
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert SECRET.encode() in raw(replica)
    with Replica.open(replica.path):
        assert SECRET.encode() not in raw(replica)


def test_a_tombstone_that_comes_with_a_snapshot_erases_too(replica: Replica, log: FakeLog) -> None:
    made = operation(Kind.SESSION, CreateSession(title=SECRET, messages=[said(SECRET)]))
    replica.write(PROJECT, made)
    push(replica, log)
    pull(replica, log)
    log.do(operation(Kind.SESSION, Erase(), made.record_id), actor="ada")
    ref = Ref(Kind.SESSION, made.record_id)
    replica.put_records(PROJECT, [(ref.kind, log.state[ref])])
    assert SECRET.encode() not in raw(replica)


def test_a_session_made_private_by_its_owner_leaves_with_all_that_belongs_to_it(
    replica: Replica, log: FakeLog
) -> None:
    made = operation(Kind.SESSION, CreateSession(title=SECRET, messages=[said(SECRET)]))
    log.do(made, actor="bob")
    body = CreateCheckpoint(session_id=made.record_id, description=SECRET)
    log.do(operation(Kind.CHECKPOINT, body), actor="bob")
    pull(replica, log)
    before = replica.changes(PROJECT, 0)
    assert len(before) == 3
    private = UpdateSession(privacy_level=Privacy.PRIVATE)
    log.do(operation(Kind.SESSION, private, made.record_id), actor="bob")
    pull(replica, log)
    with pytest.raises(NotFound):
        replica.get(Kind.SESSION, made.record_id)
    with replica._file.reading() as connection:
        held = connection.execute(
            "SELECT count(*) FROM records WHERE base NOT NULL OR view NOT NULL"
        )
        assert held.fetchone() == (0,)
    told = replica.changes(PROJECT, before[-1].change_no)
    assert {change.ref for change in told} == {change.ref for change in before}
    assert all(change.document is None for change in told)
    # More of it comes withheld from the start, and the chain still holds.
    log.do(operation(Kind.SESSION, AppendMessages(messages=[said("more")]), made.record_id))
    pull(replica, log)
    assert replica.sessions().items == []
    assert replica.check() == []


def test_ones_own_private_record_stays(replica: Replica, log: FakeLog) -> None:
    body = CreateSession(title="mine", privacy_level=Privacy.PRIVATE, messages=[said("own")])
    made = operation(Kind.SESSION, body)
    replica.write(PROJECT, made)
    push(replica, log)
    pull(replica, log)
    assert replica.get(Kind.SESSION, made.record_id)["title"] == "mine"
    assert Ref(Kind.SESSION, made.record_id) in replica.load([Ref(Kind.SESSION, made.record_id)])


@pytest.mark.parametrize("kind", [Kind.SESSION, Kind.MESSAGE, Kind.CHECKPOINT, Kind.PATTERN])
def test_without_a_hub_an_erasure_leaves_nothing_behind(replica: Replica, kind: Kind) -> None:
    made = holding(kind)
    for each in made:
        replica.write(PROJECT, each)
    erased = made[-1].record_id
    if kind is Kind.MESSAGE:
        found = replica.messages(made[0].record_id)
        erased = next(str(one["id"]) for one in found if SECRET in str(one["text"]))
    from_it = CreatePattern(
        pattern_type=PatternType.CODE,
        name="lesson",
        source_session_id=erased if kind is Kind.SESSION else None,
    )
    replica.write(PROJECT, operation(Kind.PATTERN, from_it))
    at = replica.project(PROJECT).change_no
    replica.write(PROJECT, operation(kind, Erase(), erased))
    assert SECRET.encode() not in raw(replica)
    with pytest.raises(Deleted):
        replica.get(kind, erased)
    told = {change.ref: change.document for change in replica.changes(PROJECT, at)}
    assert told[Ref(kind, erased)] is None
    assert replica.check() == []
    # A hub takes all of it without a complaint, and erases what is to be erased.
    log = FakeLog()
    push(replica, log)
    pull(replica, log)
    assert replica.counts(PROJECT).rejected == 0
    assert SECRET not in str(log.state)
    with pytest.raises(Deleted):
        replica.get(kind, erased)
    assert [item["name"] for item in replica.patterns().items][:1] == ["lesson"]
    if kind is Kind.MESSAGE:
        shown = [(m["text"], m["position"]) for m in replica.messages(made[0].record_id)]
        assert shown == [("kept too", 0), ("before", 1)]


def test_without_a_hub_the_sessions_below_an_erased_one_go_too(replica: Replica) -> None:
    parent = operation(Kind.SESSION, CreateSession(title=SECRET))
    below = CreateSession(title=SECRET + " below", parent_session_id=parent.record_id)
    child = operation(Kind.SESSION, below)
    other = operation(Kind.SESSION, CreateSession(title="other"))
    replica.write_many(PROJECT, [parent, child, other])
    replica.write(PROJECT, operation(Kind.SESSION, Erase(), parent.record_id))
    assert SECRET.encode() not in raw(replica)
    assert [item["id"] for item in replica.sessions().items] == [other.record_id]


def test_damaged_files_that_were_set_aside_go_with_the_next_erasure(replica: Replica) -> None:
    """Nobody can say what they hold."""
    made = operation(Kind.SESSION, CreateSession(title="words to erase"))
    replica.write(PROJECT, made)
    aside = replica.path.with_name("replica.db.damaged-20261121220000")
    log = aside.with_name(f"{aside.name}-wal")
    for each in (aside, log):
        each.write_text("words to erase")
    assert replica.purge()
    assert aside.exists()
    replica.write(PROJECT, operation(Kind.SESSION, Erase(), made.record_id))
    assert not aside.exists()
    assert not log.exists()
