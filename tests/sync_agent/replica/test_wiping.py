"""What an erased record leaves in the journal: nothing of what was said about it."""

from __future__ import annotations

import random

import pytest

from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    CreatePattern,
    CreateSession,
    Erase,
    NewMessage,
    ResolveConflict,
    UpdatePattern,
    UpdateSession,
)
from memory_core.records import Kind, PatternType, Privacy, Role
from sync_agent.replica import Replica, State
from sync_agent.replica.journal import entry_of
from tests.sync_agent.replica.hubs import PROJECT, FakeLog, operation

SECRET = "the word that goes"


@pytest.mark.parametrize("kind", [Kind.PATTERN, Kind.SESSION])
@pytest.mark.parametrize("is_pushed", [True, False])
def test_the_answer_to_a_conflict_goes_with_its_record(
    replica: Replica, log: FakeLog, kind: Kind, is_pushed: bool
) -> None:
    if kind is Kind.PATTERN:
        made = operation(kind, CreatePattern(name="a", pattern_type=PatternType.CODE))
        updates = (UpdatePattern(name="b"), UpdatePattern(name="c"))
    else:
        made = operation(kind, CreateSession(title="a"))
        updates = (UpdateSession(title="b"), UpdateSession(title="c"))  # type: ignore[assignment]
    log.do(made)
    for update in updates:
        log.do(operation(kind, update, made.record_id, base=made.op_id))
    replica.apply_page(PROJECT, log.page(0))
    [conflict] = replica.conflicts()
    body = ResolveConflict.model_validate(
        {
            "record_kind": kind,
            "record_id": made.record_id,
            "resolution": "edited",
            "value": SECRET,
        }
    )
    resolved = operation(Kind.CONFLICT, body, str(conflict["id"]))
    replica.write(PROJECT, resolved)
    [row] = replica.journal(PROJECT)
    if is_pushed:
        entry = entry_of(row)
        answer = log.push(row.number, entry.operation, entry.at, row.hash)
        replica.store_results(PROJECT, [answer])
    log.do(operation(kind, Erase(), made.record_id))
    replica.apply_page(PROJECT, log.page(replica.project(PROJECT).cursor))
    for path in replica.path.parent.iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_an_erasure_that_is_withheld_takes_what_was_said_from_here(
    replica: Replica, log: FakeLog
) -> None:
    """Somebody's session, to which ada wrote, becomes PRIVATE, and the message is erased there."""
    made = operation(Kind.SESSION, CreateSession(title="bob's"))
    log.do(made)
    replica.apply_page(PROJECT, log.page(0))
    message = NewMessage(id=uuid7(), role=Role.USER, text=SECRET)
    replica.write(
        PROJECT, operation(Kind.SESSION, AppendMessages(messages=[message]), made.record_id)
    )
    bring_level(replica, log)
    hide = UpdateSession(privacy_level=Privacy.PRIVATE)
    log.do(operation(Kind.SESSION, hide, made.record_id))
    log.do(operation(Kind.MESSAGE, Erase(), message.id))
    bring_level(replica, log)
    for path in replica.path.parent.iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_rows_that_sqlite_moved_leave_nothing_behind(replica: Replica, log: FakeLog) -> None:
    """Where it rearranges a page, SQLite does not zero the place where a row stood before."""
    chance = random.Random(8)
    made: dict[str, str] = {}
    gone: list[str] = []

    def padded(word: str) -> str:
        return word + " " * chance.randrange(0, 600) + "."

    for number in range(40):
        word, kind = f"wd{number:06d}x", chance.random()
        if kind < 0.35 or len(made) < 2:
            body = CreatePattern(
                name=f"n{number}", body=padded(word), pattern_type=PatternType.CODE
            )
            one = operation(Kind.PATTERN, body)
            replica.write(PROJECT, one)
            made[one.record_id] = word
        elif kind < 0.75:
            record = chance.choice([*made])
            update = UpdatePattern(body=padded(made[record]))
            replica.write(PROJECT, operation(Kind.PATTERN, update, record))
        else:
            record = chance.choice([*made])
            replica.write(PROJECT, operation(Kind.PATTERN, Erase(), record))
            gone.append(made.pop(record))
        if chance.random() < 0.4:
            bring_level(replica, log)
    bring_level(replica, log)
    held = b"".join(path.read_bytes() for path in replica.path.parent.iterdir())
    assert [word for word in gone if word.encode() in held] == []


def bring_level(replica: Replica, log: FakeLog) -> None:
    """Pushes what waits, and pulls what came of it."""
    for row in replica.journal(PROJECT, states=[State.PENDING]):
        entry = entry_of(row)
        answer = log.push(row.number, entry.operation, entry.at, row.hash)
        replica.store_results(PROJECT, [answer])
    replica.apply_page(PROJECT, log.page(replica.project(PROJECT).cursor))


def test_a_log_that_begins_with_erasures_is_not_written_twice(
    replica: Replica, log: FakeLog
) -> None:
    """Rewriting the file takes time: it is done where there was something to erase."""
    made = operation(Kind.PATTERN, CreatePattern(name="a", pattern_type=PatternType.CODE))
    log.do(made)
    log.do(operation(Kind.PATTERN, Erase(), made.record_id))
    assert not replica.apply_page(PROJECT, log.page(0)).leaves_remains
