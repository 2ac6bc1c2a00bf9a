"""Tokens that a terminal or an editor broke over several lines."""

from __future__ import annotations

import re
from typing import Final

from memory_core.redaction.rules import Span
from memory_core.redaction.values import is_scrambled

# A narrower line was hardly broken for its width.
_LEAST_WIDTH: Final = 60
_NEXT_LINE: Final = re.compile(
    r"(?:\\?\r?\n|\\n)[ \t]{0,8}(?P<run>[A-Za-z0-9_+/=.~-]{4,}+)(?=[\s\"'`,;)\\]|\Z)"
)


def with_next_lines(text: str, span: Span, starts: frozenset[int]) -> Span:
    """Returns a finding that ends with its line, drawn out over the lines that go on with it.

    ``starts`` holds where findings begin: a line that is a finding of its own goes on with
    nothing.
    """
    end = span.end
    while True:
        line = max(
            text.rfind("\n", max(0, end - 400), end), text.rfind("\\n", max(0, end - 400), end)
        )
        following = _NEXT_LINE.match(text, end) if end - line > _LEAST_WIDTH else None
        if following is None or following.start("run") in starts:
            break
        if not is_scrambled(following["run"], least=6):
            break
        end = following.end()
    return span._replace(end=end)
