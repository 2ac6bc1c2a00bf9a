"""The few lines of a text that show why it was found."""

from __future__ import annotations

import re
from collections.abc import Iterable

SNIPPET_CHARS = 300

_SPACE = re.compile(r"\s+")
_MOST_SPAN = 4_000
_MOST_PLACES = 200
_LEAD = 40


def snippet(text: str, span: tuple[int, int], words: Iterable[str]) -> str:
    """Returns at most ``SNIPPET_CHARS`` characters of ``text``, on one line.

    Of the windows of that width inside ``span`` it is the one in which most of ``words`` (terms
    of the question) begin a word, the first among equals. Cut ends are marked by "…".
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
    found = _places(text[start:end].lower(), words)
    low = 0
    most = 0
    for first, (place, _) in enumerate(found):
        begin = max(0, min(place - _LEAD, end - start - width))
        inside = {word for at, word in found[first:] if at + len(word) <= begin + width}
        if len(inside) > most:
            low, most = begin, len(inside)
    return _to_words(text, start + low, end, width)


def _places(lowered: str, words: frozenset[str]) -> list[tuple[int, str]]:
    """Returns where words begin with one of ``words``, which are stems, in order."""
    found: list[tuple[int, str]] = []
    for word in words:
        at = lowered.find(word)
        while at >= 0 and len(found) < _MOST_PLACES:
            if at == 0 or not lowered[at - 1].isalnum():
                found.append((at, word))
            at = lowered.find(word, at + len(word))
    return sorted(found)


def _to_words(text: str, low: int, end: int, width: int) -> tuple[int, int]:
    """Returns the window from ``low`` on, moved so that it cuts no word if that is possible."""
    if low and not text[low - 1].isspace():
        space = text.find(" ", low, low + _LEAD)
        low = space + 1 if space >= 0 else low
    high = min(end, low + width)
    if high < len(text) and not text[high].isspace():
        space = text.rfind(" ", low + width // 2, high)
        high = space if space >= 0 else high
    return low, high
