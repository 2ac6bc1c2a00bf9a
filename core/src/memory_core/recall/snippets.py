"""The few lines of a text that show why it was found."""

from __future__ import annotations

import re
from collections.abc import Iterable

from memory_core.text.tokens import tokenize

SNIPPET_CHARS = 300

_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\S+")
_MOST_SPAN = 4_000


def snippet(text: str, span: tuple[int, int], words: Iterable[str]) -> str:
    """Returns at most ``SNIPPET_CHARS`` characters of ``text``, on one line.

    Of all windows of that width inside ``span`` it is the one that holds most of ``words``
    (terms of the question), the first among equals. Cut ends are marked by "…".
    """
    start, end = max(span[0], 0), min(span[1], len(text))
    if start >= end:
        start, end = 0, len(text)
    end = min(end, start + _MOST_SPAN)
    # Room for the two marks of a cut.
    low, high = _best_window(text, start, end, SNIPPET_CHARS - 2, frozenset(words))
    body = _SPACE.sub(" ", text[low:high]).strip()
    before = "…" if text[:low].strip() else ""
    after = "…" if text[high:].strip() else ""
    return f"{before}{body}{after}" if body else ""


def _best_window(
    text: str, start: int, end: int, width: int, words: frozenset[str]
) -> tuple[int, int]:
    if end - start <= width:
        return start, end
    places = [
        (match.start(), match.end(), frozenset(tokenize(match.group()[:200])) & words)
        for match in _WORD.finditer(text, start, end)
    ]
    best, best_found = start, -1
    for first, (low, _, _) in enumerate(places):
        found: set[str] = set()
        for _, high, held in places[first:]:
            if high > low + width:
                break
            found |= held
        if len(found) > best_found:
            best, best_found = low, len(found)
    return _grown(places, best, end, width) if places else (start, start + width)


def _grown(
    places: list[tuple[int, int, frozenset[str]]], low: int, end: int, width: int
) -> tuple[int, int]:
    """Returns the window from ``low`` on, moved back if the text ends before it is full."""
    if low + width >= end:
        low = next((start for start, _, _ in places if start >= end - width), low)
    high = max((stop for _, stop, _ in places if stop <= low + width), default=low + width)
    return low, high
