"""Cuts a text into chunks: the unit of retrieval.

Chunks tile the text: every character belongs to exactly one, so the term counts of a text are
the sum of its chunks'. What is embedded of a chunk reaches a little further back, so that a
sentence cut in two is whole in one of the two vectors.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TARGET_CHARS = 900
"""The width of a chunk of prose; a chunk of dense code or numbers is narrower."""

WORD_PIECES = 256
"""What models of the MiniLM family read of a text: the rest would not be in the vector."""

OVERLAP_CHARS = 100
MAX_CHUNKS = 48
"""Chunks of one record at most: the first ``MAX_CHUNKS - TAIL_CHUNKS`` and the last few."""

TAIL_CHUNKS = 8
# Word pieces that the overlap and the model's own marks may take.
_RESERVED = 36
# About one word piece each: half a long word, or one mark. Measured on agents' transcripts.
_PIECE = re.compile(r"[^\W\d_]{1,5}|\d{1,2}|_|[^\w\s]")
# A last piece shorter than this says too little alone; the text is shared out instead.
_SHORTEST_SHARE = 0.3
_SENTENCE_END = re.compile(r"[.!?…。！？][\"')\]]*\s")  # noqa: RUF001 (CJK punctuation)


class Chunk(NamedTuple):
    """``text[start:end]`` is the chunk, ``text[context:end]`` what is embedded of it."""

    context: int
    start: int
    end: int


def chunk_text(text: str) -> list[Chunk]:
    """Returns the chunks of a text in order; an empty text gives one empty chunk.

    Cuts fall after a line, else after a sentence, else after a space, else anywhere. Of a text
    that is too long the middle is left out.
    """
    first = (MAX_CHUNKS - TAIL_CHUNKS) * TARGET_CHARS
    tail = len(text) - TAIL_CHUNKS * TARGET_CHARS
    if first >= tail:
        chunks = _tile(text, 0, len(text))
    else:
        # Not the whole of a text that may be megabytes: only what can be kept of it.
        chunks = _tile(text, 0, first) + _tile(text, tail, len(text))
    if len(chunks) <= MAX_CHUNKS:
        return chunks
    return chunks[: MAX_CHUNKS - TAIL_CHUNKS] + chunks[-TAIL_CHUNKS:]


def _tile(text: str, start: int, stop: int) -> list[Chunk]:
    chunks: list[Chunk] = []
    origin = start
    while True:
        end = _end(text, start, stop)
        chunks.append(Chunk(max(origin, start - OVERLAP_CHARS), start, end))
        if end >= stop:
            return chunks
        start = end


def _end(text: str, start: int, stop: int) -> int:
    width = _width(text, start, stop)
    left = stop - start
    if left <= width:
        return stop
    if left < width * (1 + _SHORTEST_SHARE):
        width = left // 2 + OVERLAP_CHARS // 2
    return _cut(text, start + width // 2, start + width)


def _width(text: str, start: int, stop: int) -> int:
    """Returns how many characters from ``start`` on the model reads whole."""
    window = text[start : min(stop, start + TARGET_CHARS)]
    room = WORD_PIECES - _RESERVED
    for pieces, match in enumerate(_PIECE.finditer(window)):
        if pieces >= room:
            return max(match.start(), OVERLAP_CHARS)
    return TARGET_CHARS


def _cut(text: str, low: int, high: int) -> int:
    """Returns the best place to cut in ``(low, high]``."""
    line = text.rfind("\n", low, high)
    if line >= 0:
        return line + 1
    sentences = [match.end() for match in _SENTENCE_END.finditer(text, low, high)]
    if sentences:
        return sentences[-1]
    space = text.rfind(" ", low, high)
    return space + 1 if space >= 0 else high
