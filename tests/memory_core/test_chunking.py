"""Chunks tile a text and fit what a model reads."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from memory_core.chunking import (
    MAX_CHUNKS,
    OVERLAP_CHARS,
    TAIL_CHUNKS,
    TARGET_CHARS,
    chunk_text,
)

PIECES = st.sampled_from(
    ["word ", "A sentence. ", "\n", "x = {1: (2)}\n", "é", "漢字", "0123", "-" * 30]
)
TEXTS = st.text(max_size=4_000) | st.lists(PIECES, max_size=1_500).map("".join)


@given(TEXTS)
def test_every_character_belongs_to_one_chunk(text: str) -> None:
    chunks = chunk_text(text)
    if len(chunks) < MAX_CHUNKS:
        assert "".join(text[chunk.start : chunk.end] for chunk in chunks) == text
    for chunk in chunks:
        assert 0 <= chunk.start - chunk.context <= OVERLAP_CHARS
        assert chunk.end - chunk.start <= TARGET_CHARS * 1.3
        assert chunk.start < chunk.end or text == ""


def test_an_empty_text_is_one_empty_chunk() -> None:
    assert chunk_text("") == [(0, 0, 0)]


def test_of_a_huge_text_the_middle_is_left_out() -> None:
    text = "".join(f"line {number}\n" for number in range(200_000))
    chunks = chunk_text(text)
    assert len(chunks) == MAX_CHUNKS
    assert chunks[0].start == 0
    assert chunks[-1].end == len(text)
    gaps = [after.start - before.end for before, after in pairwise(chunks)]
    assert sum(gap > 0 for gap in gaps) == 1
    assert gaps[MAX_CHUNKS - TAIL_CHUNKS - 1] > 1_000_000
    assert chunks[MAX_CHUNKS - TAIL_CHUNKS].context >= chunks[MAX_CHUNKS - TAIL_CHUNKS - 1].end


def test_cuts_fall_after_lines_then_sentences() -> None:
    lines = "a line of a log that goes on for a while\n" * 60
    assert all(lines[chunk.end - 1] == "\n" for chunk in chunk_text(lines))
    sentences = "This sentence is one of many. " * 80
    assert all(sentences[: chunk.end].rstrip().endswith(".") for chunk in chunk_text(sentences))


def test_dense_code_is_cut_narrower_than_prose() -> None:
    code = "a[1]={b:(2,3)};" * 200
    prose = "plain words of a story told at length " * 80
    assert len(chunk_text(code)) / len(code) > 1.5 * len(chunk_text(prose)) / len(prose)


def test_no_last_chunk_is_a_scrap() -> None:
    for length in range(TARGET_CHARS, TARGET_CHARS * 3, 37):
        text = ("some plain words here " * 200)[:length]
        assert all(c.end - c.start > TARGET_CHARS * 0.2 for c in chunk_text(text))
