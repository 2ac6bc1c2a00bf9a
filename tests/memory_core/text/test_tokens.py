"""Terms of prose, of code, and of scripts without spaces."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.text.stemming import stem
from memory_core.text.stopwords import STOP_WORDS
from memory_core.text.tokens import MAX_TOKENS, query_terms, tokenize


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Running the tests", ["run", "the", "test"]),
        ("Caroline's don't", ["carolin", "dont"]),
        ("LLMChain.run/2", ["llmchain.run/2", "llmchain.run", "llmchain", "llm", "chain", "run"]),
        ("expand_control_for", ["expand_control_for", "expand", "control", "for"]),
        ("getHTTPResponse", ["gethttprespons", "get", "http", "respons"]),
        ("--no-start", ["no-start", "no", "start"]),
        ("version 1.5.9", ["version", "1.5.9"]),
        ("2026-02-12", ["2026-02-12", "2026", "02", "12"]),
        ("C++ and C#", ["c++", "c", "and", "c#", "c"]),
        ("Foo::bar", ["foo::bar", "foo", "bar"]),
        ("café Straße", ["cafe", "strass"]),
        ("हिन्दी", ["हिन्दी"]),
        ("日本語", ["日本", "本語"]),
        ("猫", ["猫"]),
        ("안녕하세요", ["안녕", "녕하", "하세", "세요"]),
        ("", []),
        ("--- ??? !!!", []),
    ],
)  # fmt: skip
def test_terms(text: str, terms: list[str]) -> None:
    assert tokenize(text) == terms


def test_a_path_is_found_by_its_whole_its_name_and_its_words() -> None:
    terms = tokenize("lib/spotter/live/SessionLive.ex:120")
    assert {"lib/spotter/live/sessionlive.ex", "sessionlive.ex", "session", "live"} <= set(terms)
    assert set(tokenize("sessionlive.ex")) <= set(terms)
    assert set(tokenize("sessionlive")) <= set(terms)


def test_a_commit_is_found_by_its_short_name() -> None:
    long = "3f2a1bcdeadbeef0011223344556677889900aab"
    assert set(tokenize("3f2a1bc")) & set(tokenize(long)) == {"3f2a1bc"}


def test_letters_that_look_alike_to_unicode_are_one() -> None:
    assert tokenize("ﬁle Ａ１") == tokenize("file A1")  # noqa: RUF001 (that is the point)


def test_stop_words_leave_a_question_but_not_one_of_nothing_else() -> None:
    asked = [term.text for term in query_terms("Why did we change the parser?")]
    assert asked == ["chang", "parser"]
    assert [term.text for term in query_terms("what did we do")] == ["what", "did", "we", "do"]


def test_exact_names_are_known_as_such() -> None:
    found = {term.text: term.exact for term in query_terms("why is `mount_computers` empty?")}
    assert found == {"mount_computers": True, "mount": False, "comput": False, "empti": False}


def test_a_name_that_contains_a_stop_word_is_kept_whole() -> None:
    assert "not_found" in [term.text for term in query_terms("not_found")]


def test_stop_words_are_single_lower_case_words() -> None:
    assert all(word.isascii() and word.isalpha() and word.islower() for word in STOP_WORDS)
    assert not {"error", "new", "set", "first", "use", "value", "run"} & STOP_WORDS


def test_what_is_no_english_word_is_not_stemmed() -> None:
    assert stem("commits") == "commit"
    assert [stem(word) for word in ("x1s", "größes", "is", "y" * 40 + "s")] == [
        "x1s", "größes", "is", "y" * 40 + "s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000, "ab/" * 400_000, "漢" * 1_000_000, "-" * 1_000_000, "a'" * 500_000,
        "\ud800\x00" * 500_000, "ab " * 500_000, "a.b-" * 300_000, "_" * 1_000_000, "Aa" * 500_000,
    ],
    ids=range(10),
)  # fmt: skip
def test_a_hostile_megabyte_is_bounded(text: str) -> None:
    started = time.process_time()
    assert len(tokenize(text)) <= MAX_TOKENS
    assert len(query_terms(text)) <= MAX_TOKENS
    assert time.process_time() - started < 5


@given(st.text(max_size=300))
def test_any_text_gives_lower_case_terms_that_find_it(text: str) -> None:
    terms = tokenize(text)
    assert all(term and term == term.casefold() for term in terms if term.isascii())
    assert {term.text for term in query_terms(text)} <= set(terms)
