"""Operations that a hub refused, edited and sent again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory_core.errors import InvalidInput, NotFound
from memory_core.ids import uuid7
from sync_agent.exchange import PushResult
from sync_agent.local.client import LocalClient
from sync_agent.local.rejected import one_rejected, rejected, resend
from sync_agent.replica import NewProject, Replica, State


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    made = Replica.create(tmp_path / "replica.db", NewProject(id=uuid7(), slug="acme/api"))
    yield made
    made.close()


@pytest.fixture
def op_id(replica: Replica) -> str:
    """An operation that the hub refused: a session with a title that it does not take."""
    project = replica.projects()[0].id
    with LocalClient.open(replica.path, embedder=lambda: None) as client:
        client.sessions.create({"project": project, "title": "refused", "tags": ["a"]})
    [row] = replica.journal(project, states=[State.PENDING])
    problem = {"code": "invalid_input", "title": "No.", "detail": "not this title", "status": 422}
    result = PushResult(
        number=row.number, op_id=row.op_id, outcome="rejected", seq=None, head=0, problem=problem
    )
    replica.store_results(project, [result])
    replica.settle(project)
    assert [one["op_id"] for one in rejected(replica)] == [row.op_id]
    return row.op_id


def pending(replica: Replica) -> list[dict[str, object]]:
    rows = replica.journal(replica.projects()[0].id, states=[State.PENDING])
    return [dict(row.wire or {}) for row in rows]


def test_the_reason_and_the_body_are_kept(replica: Replica, op_id: str) -> None:
    found = one_rejected(replica, op_id)
    assert (found["code"], found["detail"]) == ("invalid_input", "not this title")
    assert isinstance(found["body"], dict)
    assert found["body"]["title"] == "refused"
    assert pending(replica) == []


def test_an_operation_is_changed_and_sent_again_under_a_new_id(
    replica: Replica, op_id: str
) -> None:
    written = resend(replica, op_id, {"title": "taken", "tags": None})
    [wire] = pending(replica)
    assert wire["op_id"] == written.op_id != op_id
    assert isinstance(wire["body"], dict)
    assert wire["body"]["title"] == "taken"
    assert "tags" not in wire["body"]
    assert rejected(replica) == []
    assert written.document is not None
    assert written.document["title"] == "taken"


def test_an_operation_is_sent_again_as_it_is(replica: Replica, op_id: str) -> None:
    resend(replica, op_id)
    [wire] = pending(replica)
    assert isinstance(wire["body"], dict)
    assert wire["body"]["title"] == "refused"


def test_a_change_that_makes_no_operation_changes_nothing(replica: Replica, op_id: str) -> None:
    for changes in ({"title": 7}, {"unknown": "x"}):
        with pytest.raises(InvalidInput):
            resend(replica, op_id, changes)  # type: ignore[arg-type]
    assert len(rejected(replica)) == 1
    assert pending(replica) == []


def test_a_secret_in_a_change_is_redacted(replica: Replica, op_id: str) -> None:
    secret = "ghp_" + "a1B2" * 9
    resend(replica, op_id, {"title": f"token {secret}"})
    assert secret not in str(pending(replica))
    assert secret.encode() not in replica.path.read_bytes()


def test_what_was_sent_again_is_not_there_any_more(replica: Replica, op_id: str) -> None:
    resend(replica, op_id)
    for call in (one_rejected, resend):
        with pytest.raises(NotFound):
            call(replica, op_id)
    with pytest.raises(NotFound):
        resend(replica, uuid7())
