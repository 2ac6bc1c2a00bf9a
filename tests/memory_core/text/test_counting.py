"""Counts by hash, and fingerprints."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from memory_core.text.counting import count_terms, fingerprint, sum_counts, term_hash
from memory_core.text.tokens import tokenize

WORDS = st.lists(st.sampled_from(["parser", "lib/a.py", "cache", "Runs", "日本語"]), max_size=40)


@given(WORDS)
def test_counts_are_those_of_the_terms(words: list[str]) -> None:
    text = " ".join(words)
    counts, length = count_terms(text)
    expected = Counter(map(term_hash, tokenize(text)))
    found = dict(zip(counts.terms.tolist(), counts.frequencies.tolist(), strict=True))
    assert found == dict(expected)
    assert counts.terms.tolist() == sorted(expected)
    assert length == expected.total()


@given(WORDS, WORDS)
def test_the_sum_of_parts_is_the_whole(one: list[str], other: list[str]) -> None:
    whole, _ = count_terms(" ".join([*one, *other]))
    summed = sum_counts([count_terms(" ".join(words))[0] for words in (one, other)])
    assert summed.terms.tolist() == whole.terms.tolist()
    assert summed.frequencies.tolist() == whole.frequencies.tolist()


def test_hashes_are_the_same_on_every_machine() -> None:
    assert term_hash("parser") == 15692698327753652316
    assert fingerprint(count_terms("the parser choked on tabs")[0]) == 5269072859464691804


def test_a_frequency_is_bounded() -> None:
    counts, length = count_terms("a " * 19_000)
    assert (counts.frequencies.tolist(), length) == ([19_000], 19_000)


def test_fingerprints_of_like_texts_are_near() -> None:
    story = " ".join(f"word{number}" for number in range(200))
    like, unlike = story + " end", " ".join(f"other{number}" for number in range(200))
    prints = [fingerprint(count_terms(text)[0]) for text in (story, like, unlike)]
    assert (prints[0] ^ prints[1]).bit_count() <= 6
    assert (prints[0] ^ prints[2]).bit_count() >= 16
    assert fingerprint(count_terms("")[0]) == 0
