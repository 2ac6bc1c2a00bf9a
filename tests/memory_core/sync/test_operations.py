"""Operations travel whole, and nothing else is taken for one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.errors import ContextError, InvalidInput
from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    CreateSession,
    Delete,
    NewMessage,
    Operation,
    RecordOutcome,
    UpdatePattern,
)
from memory_core.records import Kind, Role
from memory_core.sync.operations import Entry, from_wire, operation_hash, to_wire

AT = "2026-11-21T12:45:38.123456Z"
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)
BODIES = st.one_of(
    st.builds(
        CreateSession,
        title=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=50),
        description=TEXTS,
    ).map(lambda body: (Kind.SESSION, body)),
    TEXTS.map(
        lambda text: (
            Kind.SESSION,
            AppendMessages(messages=[NewMessage(id=uuid7(), role=Role.USER, text=text)]),
        )
    ),
    st.builds(UpdatePattern, confidence=st.floats(0, 1)).map(lambda body: (Kind.PATTERN, body)),
    st.builds(RecordOutcome, success=st.booleans()).map(lambda body: (Kind.PATTERN, body)),
    st.just((Kind.CHECKPOINT, Delete())),
)


def entry(kind: Kind, body: Any, base: str | None = None) -> Entry:
    operation = Operation(op_id=uuid7(), kind=kind, record_id=uuid7(), base=base, body=body)
    return Entry(number=1, operation=operation, at=AT)


@given(BODIES, st.booleans())
def test_an_operation_comes_back_as_it_was_sent(body: tuple[Kind, Any], based: bool) -> None:
    sent = entry(*body, base=uuid7() if based else None)
    received = from_wire(to_wire(sent))
    assert received == sent
    assert received.operation.body.model_fields_set == sent.operation.body.model_fields_set


@given(BODIES)
def test_the_hash_covers_all_but_the_number(body: tuple[Kind, Any]) -> None:
    wire = to_wire(entry(*body))
    hashed = operation_hash(wire)
    assert operation_hash({**wire, "number": 7}) == hashed
    for name in set(wire) - {"number"}:
        assert operation_hash({**wire, name: "another"}) != hashed


@pytest.mark.parametrize(
    "change",
    [
        {"number": 0},
        {"number": True},
        {"number": "1"},
        {"op_id": "no id"},
        {"record_id": 5},
        {"base": "no id"},
        {"at": "2026-11-21T12:45:38"},
        {"type": "create_project"},
        {"type": ["delete"]},
        {"kind": "pattern"},
        {"kind": None},
        {"body": None},
        {"body": {"title": "x", "unknown": 1}},
        {"body": {"title": "a\nb"}},
        {"extra": 1},
    ],
)
def test_what_is_no_operation_is_refused(change: dict[str, Any]) -> None:
    wire = to_wire(entry(Kind.SESSION, CreateSession(title="x")))
    with pytest.raises(InvalidInput):
        from_wire({**wire, **change})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(to_wire(entry(Kind.PATTERN, Delete())))), JSON)
def test_any_other_value_is_an_operation_or_refused(name: str, value: Any) -> None:
    wire = {**to_wire(entry(Kind.PATTERN, Delete())), name: value}
    try:
        received = from_wire(wire)
    except ContextError:
        return
    assert received.operation.kind in {Kind.SESSION, Kind.MESSAGE, Kind.CHECKPOINT, Kind.PATTERN}
