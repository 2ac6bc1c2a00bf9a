"""What a question asks for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memory_core.recall.query import MAX_TERMS, Question, parse_question


def parsed(text: str) -> Question:
    return parse_question(text, datetime(2026, 1, 1, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    "text",
    [
        "what was the last thing we tried", "what did we end up with", "where did I leave off",
        "what did the user want at the very end of the session", "how did the session end",
        "which fix was final",
    ],
)  # fmt: skip
def test_asks_for_the_end(text: str) -> None:
    assert parsed(text).at_end


@pytest.mark.parametrize(
    "text",
    ["what broke last week", "last Monday's push", "end-to-end tests", "last night", "backend"],
)
def test_does_not_ask_for_the_end(text: str) -> None:
    assert not parsed(text).at_end


def test_asks_for_the_start() -> None:
    assert parsed("what did we try first?").at_start
    assert not parsed("start the server").at_start


def test_a_pasted_log_is_bounded() -> None:
    pasted = parsed(" ".join(f"word{number}x" for number in range(5_000)))
    assert len(pasted.terms) == MAX_TERMS
