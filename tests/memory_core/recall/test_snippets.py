"""Snippets show where the words of the question are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memory_core.recall.snippets import SNIPPET_CHARS, snippet

LONG = "filler words that say nothing. " * 40


def test_a_short_text_is_shown_whole_on_one_line() -> None:
    assert snippet("one\n\n  two\tthree", (0, 16), {"two"}) == "one two three"


def test_the_words_of_the_question_are_in_it() -> None:
    text = LONG + "The parser choked on tabs." + LONG
    shown = snippet(text, (0, len(text)), {"parser", "tab"})
    assert "The parser choked on tabs." in shown
    assert shown.startswith("…")
    assert shown.endswith("…")


def test_it_stays_inside_the_span() -> None:
    text = "parser parser parser " + LONG
    assert "parser" not in snippet(text, (500, 900), {"parser"})


def test_a_word_inside_another_is_not_found() -> None:
    text = LONG + "they arun and brun" + LONG + "we run it"
    assert "we run it" in snippet(text, (0, len(text)), {"run"})


@given(st.text(max_size=2_000), st.integers(-5, 2_500), st.integers(-5, 2_500), st.sets(st.text()))
def test_any_text_and_span_give_a_short_line(
    text: str, start: int, end: int, words: set[str]
) -> None:
    shown = snippet(text, (start, end), {word for word in words if word})
    assert len(shown) <= SNIPPET_CHARS
    assert "\n" not in shown
    assert text.strip() == "" or shown


def test_a_megabyte_without_a_space_is_bounded() -> None:
    assert len(snippet("a" * 1_000_000, (0, 1_000_000), {"a"})) <= SNIPPET_CHARS
