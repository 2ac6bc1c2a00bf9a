"""What a transcript holds as bodies of requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from memctx.importing.shape import (
    Redactor,
    changes,
    checkpoint_body,
    derived_fields,
    message_body,
    paths,
    session_body,
)
from memory_core.ids import uuid7
from memory_core.operations import CreateCheckpoint, CreateSession, NewMessage, UpdateSession
from memory_core.transcripts import CheckpointItem, MessageItem, SessionEnd, SessionItem

AT = "2026-03-01T12:00:00.000000Z"
SECRET = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
ANY_TEXT = st.text() | st.text(alphabet=st.characters(categories=["Cc", "Cs", "Cf", "L"]))


def session_item(**fields: Any) -> SessionItem:
    given = {"id": uuid7(), "source_id": "s", "agent": "claude-code", "cwd": "/w"}
    return SessionItem(**{**given, "git_branch": "main", "started_at": AT, **fields})


def end_item(**fields: Any) -> SessionEnd:
    given: dict[str, Any] = {"id": uuid7(), "ended_at": AT, "title": "T", "summary": "S"}
    return SessionEnd(**{**given, **fields})


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_whatever_a_transcript_holds_the_hub_takes(text: str, name: str, path: str) -> None:
    """The models are the hub's own: what passes here is not refused there."""
    redactor = Redactor("TEAM")
    session = session_item(source_id=name or "s", cwd=path, git_branch=name, metadata={"x": text})
    CreateSession(**session_body(session, redactor))
    message = MessageItem(
        uuid7(),
        session.id,
        "tool",
        text,
        name,
        AT,
        author=name,
        tool_name=name,
        metadata={"a": [path]},
    )
    body = message_body(message, redactor)
    assert (body is None) == (not redactor.text(text).strip())
    if body is not None:
        NewMessage(**body)
    checkpoint = CheckpointItem(
        uuid7(), session.id, text, AT, next_steps=name, git_branch=name, git_commit=name,
        files_changed=(path, text), tasks_completed=(text,), source_id=name,
    )  # fmt: skip
    found = checkpoint_body(checkpoint, redactor)
    if found is not None:
        CreateCheckpoint(**found)
    derived = derived_fields(end_item(title=text, summary=name, files_changed=(path,)), redactor)
    UpdateSession(**{name: value for name, value in derived.items() if value != ""})


def test_texts_that_are_too_long_are_cut_and_say_so() -> None:
    body = message_body(
        MessageItem(uuid7(), uuid7(), "tool", "word " * 500_000, "s", AT), Redactor("TEAM")
    )
    assert body is not None
    assert len(str(body["text"])) <= 1_000_000
    assert str(body["text"]).endswith("longer than a message can be]")
    NewMessage(**body)


def test_secrets_are_taken_out_of_every_text() -> None:
    redactor = Redactor("TEAM")
    message = MessageItem(
        uuid7(), uuid7(), "tool", f"token {SECRET}", "s", AT, metadata={"env": SECRET}
    )
    checkpoint = CheckpointItem(
        uuid7(), uuid7(), SECRET, AT, next_steps=SECRET, tasks_completed=(SECRET,)
    )
    end = end_item(title=SECRET, summary=SECRET, metadata={"x": [SECRET]})
    bodies = [
        message_body(message, redactor),
        checkpoint_body(checkpoint, redactor),
        derived_fields(end, redactor),
        session_body(session_item(metadata={"remote": SECRET}), redactor),
    ]
    assert SECRET not in str(bodies)
    assert sum(redactor.counts.values()) == 9


def test_metadata_that_is_too_large_is_left_out() -> None:
    big = session_body(session_item(metadata={"x": "word " * 20_000}), Redactor("TEAM"))
    assert big["metadata"] == {}


def test_paths_are_unique_and_bounded() -> None:
    names = ["a.py", "a.py", "", "b\n.py", "c" * 3_000, *(f"f{n}" for n in range(3_000))]
    found = paths(names)
    assert found[:3] == ["a.py", "b\ufffd.py", "c" * 1_024]
    assert len(found) == 2_000


def stored(derived: dict[str, JsonValue], **other: JsonValue) -> dict[str, JsonValue]:
    return {**derived, **other}


def test_what_the_hub_has_already_is_not_sent_again() -> None:
    derived = derived_fields(end_item(), Redactor("TEAM"))
    assert changes(stored(derived), derived) == {}


def test_a_grown_session_gets_what_is_new() -> None:
    redactor = Redactor("TEAM")
    before = derived_fields(end_item(), redactor)
    later = "2026-03-01T13:00:00.000000Z"
    after = derived_fields(end_item(ended_at=later, title="T2", files_changed=("a",)), redactor)
    found = changes(stored(before), after)
    assert {name: found[name] for name in found if name != "metadata"} == {
        "title": "T2",
        "ended_at": later,
        "files_changed": ["a"],
    }


def test_an_older_copy_changes_nothing() -> None:
    redactor = Redactor("TEAM")
    new = derived_fields(end_item(ended_at="2026-03-02T00:00:00.000000Z", title="new"), redactor)
    old = derived_fields(end_item(title="old"), redactor)
    assert changes(stored(new), old) == {}


@pytest.mark.parametrize("field", ["title", "summary"])
def test_what_somebody_changed_by_hand_stays(field: str) -> None:
    redactor = Redactor("TEAM")
    before = derived_fields(end_item(), redactor)
    after = derived_fields(end_item(title="T2", summary="S2"), redactor)
    found = changes(stored(before, **{field: "mine"}), after)
    assert field not in found
    assert ({"title", "summary"} - {field}) <= found.keys()


def test_metadata_of_others_stays() -> None:
    redactor = Redactor("TEAM")
    derived = derived_fields(end_item(metadata={"tools": {"Bash": 2}}), redactor)
    found = changes({"title": "x", "metadata": {"mine": 1, "tools": {}}}, derived)
    assert isinstance(found["metadata"], dict)
    assert found["metadata"]["mine"] == 1
    assert found["metadata"]["tools"] == {"Bash": 2}
