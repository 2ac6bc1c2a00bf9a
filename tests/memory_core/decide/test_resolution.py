"""A conflict is closed once, with a value that the field may have."""

from __future__ import annotations

from typing import Any

import pytest

from memory_core.decide import Known, decide, refs
from memory_core.errors import Conflict, InvalidInput, NotFound
from memory_core.events import EventType
from memory_core.ids import uuid7
from memory_core.operations import Operation, ResolveConflict
from memory_core.records import Document, Kind, Ref

AT = "2026-11-21T12:45:38.123456Z"
PROJECT, CONFLICT, SESSION = uuid7(), uuid7(), uuid7()
ABOUT: Document = {"id": SESSION, "project_id": PROJECT, "owner": "ada", "title": "kept title"}


def operation(resolution: str, **value: Any) -> Operation:
    body = ResolveConflict.model_validate(
        {"record_kind": "session", "record_id": SESSION, "resolution": resolution, **value}
    )
    return Operation(op_id=uuid7(), kind=Kind.CONFLICT, record_id=CONFLICT, body=body)


def known(conflict: dict[str, Any] | None = None, about: dict[str, Any] | None = None) -> Known:
    stored: Document = {
        "id": CONFLICT,
        "project_id": PROJECT,
        "record_kind": "session",
        "record_id": SESSION,
        "field": "title",
        "kept": "kept title",
        "pushed": "pushed title",
        "resolution": None,
        **(conflict or {}),
    }
    documents = {
        Ref(Kind.CONFLICT, CONFLICT): stored,
        Ref(Kind.SESSION, SESSION): {**ABOUT, **(about or {})},
    }
    return Known(project_id=PROJECT, actor="ada", now=AT, documents=documents)


def test_both_records_are_needed() -> None:
    assert refs(operation("kept")) == {Ref(Kind.CONFLICT, CONFLICT), Ref(Kind.SESSION, SESSION)}


def test_keeping_changes_nothing_but_the_conflict() -> None:
    (closed,) = decide(operation("kept"), known()).drafts
    assert closed.type is EventType.CONFLICT_RESOLVED
    assert closed.content == {"resolution": "kept", "value": "kept title"}
    assert closed.parent_id == SESSION


@pytest.mark.parametrize(
    ("asked", "value"), [({"resolution": "pushed"}, "pushed title"), (None, "a third")]
)
def test_another_value_changes_the_record_first(asked: dict[str, Any] | None, value: str) -> None:
    chosen = operation(**asked) if asked else operation("edited", value=value)
    changed, closed = decide(chosen, known()).drafts
    assert (changed.type, changed.record_id) == (EventType.SESSION_UPDATED, SESSION)
    assert changed.content == {"changes": {"title": value}}
    assert closed.type is EventType.CONFLICT_RESOLVED


def test_resolving_again_the_same_way_is_no_change() -> None:
    done = {"resolution": "kept", "value": "kept title"}
    assert decide(operation("kept"), known(done)).drafts == ()
    with pytest.raises(Conflict):
        decide(operation("pushed"), known(done))


def test_a_deleted_record_is_left_deleted() -> None:
    (closed,) = decide(operation("pushed"), known(about={"deleted": True})).drafts
    assert closed.type is EventType.CONFLICT_RESOLVED


@pytest.mark.parametrize(
    "value", [{}, {"value": 5}, {"value": "two\nlines"}, {"value": ""}, {"value": None}]
)
def test_an_edited_value_must_be_one(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        decide(operation("edited", **value), known())


def test_only_an_edit_brings_a_value() -> None:
    with pytest.raises(InvalidInput):
        decide(operation("kept", value="x"), known())


def test_a_record_is_not_opened_wider_by_a_conflict() -> None:
    conflict = {"field": "privacy_level", "kept": "PRIVATE", "pushed": "PUBLIC"}
    with pytest.raises(InvalidInput):
        decide(operation("pushed"), known(conflict, {"privacy_level": "PRIVATE"}))


def test_others_private_records_and_other_conflicts_are_not_there() -> None:
    with pytest.raises(NotFound):
        decide(operation("kept"), known(about={"privacy_level": "PRIVATE", "owner": "bob"}))
    with pytest.raises(InvalidInput):
        decide(operation("kept"), known({"record_id": uuid7()}))
    with pytest.raises(NotFound):
        decide(operation("kept"), known({"project_id": uuid7()}))
