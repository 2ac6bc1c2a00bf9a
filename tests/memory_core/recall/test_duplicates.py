"""What repeats a better hit is left out, and named by it."""

from __future__ import annotations

from memory_core.recall.duplicates import Repeats
from memory_core.records import Kind, Ref
from memory_core.text.counting import count_terms, fingerprint

STORY = " ".join(f"word{number}" for number in range(100))


def ref(name: str) -> Ref:
    return Ref(Kind.MESSAGE, name)


def add(repeats: Repeats, name: str, text: str, session: int = 0, project: int = 0) -> bool:
    return repeats.add(ref(name), project, session, fingerprint(count_terms(text)[0]), text)


def test_the_same_text_counts_once_wherever_it_was_said() -> None:
    repeats = Repeats()
    assert add(repeats, "a", "All tests pass.")
    assert not add(repeats, "b", " All  tests\npass.", session=1, project=1)
    assert repeats.of(ref("a")) == (ref("b"),)


def test_nearly_the_same_text_counts_once_in_a_session() -> None:
    repeats = Repeats()
    assert add(repeats, "a", STORY)
    assert not add(repeats, "b", STORY + " indeed")
    assert add(repeats, "c", STORY + " indeed", session=1)


def test_texts_that_share_half_their_words_are_two() -> None:
    repeats = Repeats()
    half = " ".join(STORY.split()[:50])
    assert add(repeats, "a", STORY)
    assert add(repeats, "b", half + " " + half.upper().replace("WORD", "other"))


def test_empty_texts_and_texts_without_words() -> None:
    repeats = Repeats()
    assert add(repeats, "a", "!!!")
    assert add(repeats, "b", "???")
    assert not add(repeats, "c", "!!!")
    assert add(repeats, "d", "")
