"""Events travel with all that their digests cover."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from memory_core.errors import InvalidInput
from memory_core.events import Event, EventDraft, EventType, genesis, seal, unsealed, verify_event
from memory_core.ids import uuid7
from memory_core.records import Kind
from memory_core.sync.events import from_wire, to_wire

AT = "2026-11-21T12:45:38.123456Z"


def event() -> Event:
    draft = EventDraft(
        type=EventType.CHECKPOINT_CREATED,
        kind=Kind.CHECKPOINT,
        record_id=uuid7(),
        occurred_at=AT,
        content={"description": "naïve ✓", "n": [1, 2.5, None, True]},
        redactions={"aws_key": 2},
    )
    project = uuid7()
    drafts = unsealed(
        [draft], project_id=project, after_seq=0, op_id=uuid7(), actor="ada", recorded_at=AT
    )
    return seal(drafts, genesis(project))[0]


def test_an_event_comes_back_and_verifies() -> None:
    sent = event()
    received = from_wire(json.loads(json.dumps(to_wire(sent))))
    assert received.event == sent
    assert not received.withheld
    verify_event(genesis(sent.project_id), received.event)


def test_a_withheld_event_says_nothing_and_still_verifies() -> None:
    sent = event()
    wire = to_wire(sent, withheld=True)
    assert "naïve" not in json.dumps(wire, ensure_ascii=False)
    received = from_wire(wire)
    assert received.withheld
    verify_event(genesis(sent.project_id), received.event)


def test_an_erased_event_is_not_withheld() -> None:
    received = from_wire(to_wire(replace(event(), content=None, salt=None)))
    assert received.event.content is None
    assert not received.withheld


def test_what_a_newer_hub_adds_is_left_out() -> None:
    sent = event()
    assert from_wire({**to_wire(sent), "colour": "green"}).event == sent


@pytest.mark.parametrize(
    "change",
    [
        {"seq": "1"},
        {"type": "session.painted"},
        {"kind": 1},
        {"content": "text"},
        {"digest": "00"},
        {"content_digest": "zz"},
        {"salt": 3},
        {"redactions": None},
        {"parent_id": 5},
    ],
)
def test_what_is_no_event_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        from_wire({**to_wire(event()), **change})


@pytest.mark.parametrize("name", sorted(to_wire(event())))
def test_a_missing_part_is_refused(name: str) -> None:
    wire = to_wire(event())
    del wire[name]
    with pytest.raises(InvalidInput):
        from_wire(wire)
