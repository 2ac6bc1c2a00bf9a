"""What a context pack chooses, over plain lists of documents."""

from __future__ import annotations

import pytest

from memory_core.recall.context import (
    CHECKPOINTS,
    PATTERNS,
    new_nonce,
    pack_context,
    shown_pack,
    standing_notes,
)
from memory_core.recall.moment import moment_of
from memory_core.recall.pack import Reason
from memory_core.records import Document

AT = "2026-11-21T12:00:00.000000Z"


def checkpoint(number: int, session: str | None = None) -> Document:
    return {
        "id": f"c{number}",
        "session_id": session,
        "description": f"state {number}",
        "created_at": AT,
    }


def session(number: int, parent: str | None = None) -> Document:
    return {"id": f"s{number}", "title": f"session {number}", "parent_session_id": parent}


def lesson(number: int, quality: float, confidence: float = 0.5) -> Document:
    return {
        "id": f"p{number}",
        "name": f"lesson {number}",
        "quality_score": quality,
        "confidence": confidence,
    }


def test_the_asking_session_and_subagents_are_left_out() -> None:
    notes = standing_notes(
        checkpoints=[checkpoint(1, "s1"), checkpoint(2, "s2"), checkpoint(3)],
        sessions=[session(1), session(2, parent="s1"), session(3)],
        lessons=[],
        session_id="s1",
    )
    assert [(note.id, note.reason) for note in notes] == [
        ("c2", Reason.LAST_CHECKPOINT),
        ("s3", Reason.LAST_SESSION),
        ("c3", Reason.EARLIER_CHECKPOINT),
    ]


def test_the_best_lessons_come_first_and_equals_by_id() -> None:
    lessons = [lesson(number, 0.1 * (number % 5)) for number in range(PATTERNS + 5)]
    notes = standing_notes(checkpoints=[], sessions=[], lessons=lessons, session_id=None)
    assert len(notes) == PATTERNS
    assert [note.id for note in notes[:4]] == ["p14", "p4", "p9", "p13"]


def test_no_more_checkpoints_than_that() -> None:
    many = [checkpoint(number) for number in range(CHECKPOINTS + 3)]
    notes = standing_notes(checkpoints=many, sessions=[], lessons=[], session_id=None)
    assert [note.id for note in notes] == [f"c{number}" for number in range(CHECKPOINTS)]


@pytest.mark.parametrize(("kinds", "kept"), [((), ["c1", "p1"]), (("pattern",), ["p1"])])
def test_kinds_choose_what_is_packed(kinds: tuple[str, ...], kept: list[str]) -> None:
    notes = standing_notes(
        checkpoints=[checkpoint(1)], sessions=[], lessons=[lesson(1, 0.5)], session_id=None
    )
    packed = pack_context(
        notes, [], kinds=kinds, budget=1_000, project="acme/api", now=AT, nonce=new_nonce()
    )
    shown = shown_pack(packed, query="", budget=1_000, found=False)
    items = shown["items"]
    assert isinstance(items, list)
    assert [item["id"] for item in items if isinstance(item, dict)] == kept
    assert shown["nothing_relevant"] is False
    assert shown_pack(packed, query="why", budget=1_000, found=False)["nothing_relevant"] is True


def test_a_moment_is_the_beginning_of_five_minutes() -> None:
    assert moment_of("2026-11-21T12:04:59.999999Z") == "2026-11-21T12:00:00.000000Z"
    assert moment_of("2026-11-21T12:05:00.000000Z") == "2026-11-21T12:05:00.000000Z"
