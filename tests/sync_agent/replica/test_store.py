from __future__ import annotations

import stat

import pytest

from memory_core.errors import AlreadyExists, Deleted, InvalidInput, NotFound
from memory_core.operations import (
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Delete,
    NewMessage,
    UpdateSession,
)
from memory_core.records import Kind, Privacy, Role
from sync_agent.errors import ReplicaMissing
from sync_agent.replica import Replica, State
from sync_agent.replica.journal import entry_of
from tests.sync_agent.replica.hubs import NEW, PROJECT, FakeLog, operation


def said(text: str) -> NewMessage:
    return NewMessage(role=Role.USER, text=text)


def test_a_new_replica_is_for_its_user_alone_and_is_not_made_twice(replica: Replica) -> None:
    assert stat.S_IMODE(replica.path.stat().st_mode) == 0o600
    assert [project.slug for project in replica.projects()] == ["acme/api"]
    with pytest.raises(AlreadyExists):
        Replica.create(replica.path, NEW)
    names = {path.name for path in replica.path.parent.iterdir()}
    assert names <= {
        "replica.db",
        "replica.db-wal",
        "replica.db-shm",
        "replica.lock",
        "replica.writer",
    }


def test_without_a_file_it_says_how_to_make_one(replica: Replica) -> None:
    with pytest.raises(ReplicaMissing, match="memctx init"):
        Replica.open(replica.path.with_name("other.db"))


def test_a_write_is_shown_at_once_as_pending_and_after_opening_again(replica: Replica) -> None:
    made = operation(Kind.SESSION, CreateSession(title="Fix login", messages=[said("it fails")]))
    written = replica.write(PROJECT, made)
    assert (written.number, written.created, written.added) == (1, True, 1)
    with Replica.open(replica.path) as again:
        assert again.replica_id == replica.replica_id
        session = again.get(Kind.SESSION, made.record_id)
        assert session == written.document
        assert (session["pending"], session["title"], session["project"]) == (
            True, "Fix login", "acme/api",
        )  # fmt: skip
        assert [m["text"] for m in again.messages(made.record_id)] == ["it fails"]
        assert again.pending_count(PROJECT) == 1


def test_repeating_an_operation_changes_nothing(replica: Replica) -> None:
    made = operation(Kind.SESSION, CreateSession(title="Once", messages=[said("one")]))
    replica.write(PROJECT, made)
    repeated = replica.write(PROJECT, made)
    assert (repeated.replayed, repeated.number) == (True, 1)
    assert len(replica.journal(PROJECT)) == 1


def test_writes_of_one_call_come_all_or_not_at_all(replica: Replica) -> None:
    good = operation(Kind.SESSION, CreateSession(title="Good"))
    bad = operation(Kind.SESSION, UpdateSession(title="None"))
    with pytest.raises(NotFound):
        replica.write_many(PROJECT, [good, bad])
    assert replica.journal(PROJECT) == []
    assert replica.sessions().items == []


def test_what_is_ephemeral_is_refused(replica: Replica) -> None:
    body = CreateSession(title="Secret", privacy_level=Privacy.EPHEMERAL)
    with pytest.raises(InvalidInput):
        replica.write(PROJECT, operation(Kind.SESSION, body))


def test_an_update_is_made_against_what_is_shown(replica: Replica) -> None:
    made = operation(Kind.SESSION, CreateSession(title="Before"))
    replica.write(PROJECT, made)
    update = operation(Kind.SESSION, UpdateSession(title="After"), made.record_id)
    written = replica.write(PROJECT, update)
    assert written.document is not None
    assert (written.document["title"], written.document["last_op"]) == ("After", update.op_id)
    assert replica.journal(PROJECT)[1].base == made.op_id


def test_a_deleted_session_takes_its_children_along(replica: Replica) -> None:
    parent = operation(Kind.SESSION, CreateSession(title="Parent"))
    child_body = CreateSession(title="Child", parent_session_id=parent.record_id)
    child = operation(Kind.SESSION, child_body)
    replica.write_many(PROJECT, [parent, child])
    replica.write(PROJECT, operation(Kind.SESSION, Delete(), parent.record_id))
    for gone in (parent, child):
        with pytest.raises(Deleted):
            replica.get(Kind.SESSION, gone.record_id)


def test_an_answer_shows_nothing_until_its_effect_is_pulled(replica: Replica, log: FakeLog) -> None:
    made = operation(Kind.PATTERN, CreatePattern(pattern_type="code", name="Use a lock"))
    shown = replica.write(PROJECT, made).document
    (row,) = replica.journal(PROJECT)
    replica.store_results(PROJECT, [log.push(1, entry_of(row).operation, row.at, row.hash)])
    assert replica.get(Kind.PATTERN, made.record_id) == shown
    assert replica.journal(PROJECT)[0].state is State.PUSHED
    applied = replica.apply_page(PROJECT, log.page(0))
    assert (applied.settled, applied.cursor) == ((1,), 1)
    assert replica.journal(PROJECT)[0].state is State.SETTLED
    assert "pending" not in replica.get(Kind.PATTERN, made.record_id)


def test_a_rejected_operation_is_kept_with_its_reason(replica: Replica, log: FakeLog) -> None:
    made = operation(Kind.SESSION, CreateSession(title="Ours"))
    log.do(made, actor="ada")
    replica.apply_page(PROJECT, log.page(0))
    late = operation(Kind.CHECKPOINT, CreateCheckpoint(
        session_id=made.record_id, description="half done"))  # fmt: skip
    replica.write(PROJECT, late)
    log.do(operation(Kind.SESSION, Delete(), made.record_id), actor="ada")
    (row,) = replica.journal(PROJECT)
    result = log.push(1, entry_of(row).operation, row.at, row.hash)
    replica.store_results(PROJECT, [result])
    assert "pending" in replica.get(Kind.CHECKPOINT, late.record_id)
    replica.apply_page(PROJECT, log.page(1))
    (row,) = replica.journal(PROJECT)
    assert row.state is State.REJECTED
    assert row.result is not None
    assert row.result["problem"] == result.problem
    with pytest.raises((NotFound, Deleted)):
        replica.get(Kind.CHECKPOINT, late.record_id)
