"""What a hub answers is read whole, or refused as an answer that the protocol does not know."""

from __future__ import annotations

from typing import Any

import pytest

from memory_core.errors import UpgradeRequired
from memory_core.ids import uuid7
from memory_core.records import Kind
from sync_agent.errors import InvalidAnswer
from sync_agent.exchange import ModelName
from sync_agent.sync import answers
from tests.sync_agent.sync.samples import ZERO, pull_body, push_body, snapshot_body, wire_events


def test_a_page_is_read() -> None:
    page = answers.pulled_page(pull_body(), 0)
    assert [item.event.seq for item in page.items] == [1, 2]
    assert page.digest == page.items[-1].event.digest
    assert (page.acked.number, page.acked.hash) == (0, None)
    assert page.model == ModelName("minilm", 384)
    assert page.shared is not None
    assert page.shared.slug == "_team"


def test_parts_that_may_be_absent_are_none() -> None:
    page = answers.pulled_page(pull_body(model=None, shared=None), 0)
    assert page.model is None
    assert page.shared is None


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": None},
        {"head": "2"},
        {"head": True},
        {"head": -1},
        {"items": {}},
        {"items": [3]},
        {"items": [{}]},
        {"items": [wire_events(1)[0] | {"type": "session.vanished"}]},
        {"items": list(reversed(wire_events(2)))},
        {"items": [event for event in wire_events(3) if event["seq"] != 2]},
        {"up_to_date": 1},
        {"acked": None},
        {"acked": {"number": 1, "hash": "zz"}},
        {"digest": "abcd"},
        {"model": {"name": "minilm"}},
        {"project": []},
    ],
)
def test_a_page_with_a_wrong_part_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswer):
        answers.pulled_page(pull_body(**changes), 0)


def test_a_page_that_does_not_follow_is_refused() -> None:
    with pytest.raises(InvalidAnswer, match="gap"):
        answers.pulled_page(pull_body(), 5)


@pytest.mark.parametrize("body", [None, [], "text", {}])
def test_what_is_no_answer_is_refused(body: Any) -> None:
    for read in (answers.push_answer, answers.snapshot_page, answers.events):
        with pytest.raises(InvalidAnswer):
            read(body)
    with pytest.raises(InvalidAnswer):
        answers.pulled_page(body, 0)


def test_another_version_of_the_protocol_is_refused_by_name() -> None:
    with pytest.raises(UpgradeRequired, match="upgrade this side"):
        answers.pulled_page(pull_body(protocol=2), 0)
    with pytest.raises(UpgradeRequired, match="upgrade the hub"):
        answers.push_answer(push_body(protocol=0))


def test_results_of_a_push_are_read() -> None:
    problem = {"code": "not_found", "status": 404}
    rejected = {"number": 2, "op_id": uuid7(), "outcome": "rejected", "seq": None, "head": 3}
    rejected |= {"conflicts": [], "problem": problem}
    stopped = {"code": "busy", "status": 503}
    body = push_body(stopped=stopped)
    body["results"].append(rejected)
    answer = answers.push_answer(body)
    assert [result.outcome for result in answer.results] == ["accepted", "rejected"]
    assert answer.results[1].problem == problem
    assert (answer.acked.number, answer.expected, answer.stopped) == (1, 2, stopped)


def test_an_outcome_that_is_not_known_is_refused() -> None:
    body = push_body()
    body["results"][0]["outcome"] = "postponed"
    with pytest.raises(InvalidAnswer, match="outcome"):
        answers.push_answer(body)


def test_a_snapshot_is_read() -> None:
    page = answers.snapshot_page(snapshot_body(next_cursor="c"))
    assert (page.seq, page.next_cursor, page.items[0].kind) == (7, "c", Kind.SESSION)
    with pytest.raises(InvalidAnswer, match="kind"):
        answers.snapshot_page(snapshot_body(items=[{"kind": "dream", "document": {}}]))


def test_as_many_digests_must_come_as_were_asked_for() -> None:
    body = {"epoch": "e", "head": 4, "digests": [ZERO, ZERO]}
    assert answers.range_digests(body, 2).digests == [bytes(32)] * 2
    with pytest.raises(InvalidAnswer, match="3 digests"):
        answers.range_digests(body, 3)
