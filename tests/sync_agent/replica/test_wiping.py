"""What an erased record leaves in the journal: nothing of what was said about it."""

from __future__ import annotations

import pytest

from memory_core.operations import (
    CreatePattern,
    CreateSession,
    Erase,
    ResolveConflict,
    UpdatePattern,
    UpdateSession,
)
from memory_core.records import Kind, PatternType
from sync_agent.replica import Replica
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
