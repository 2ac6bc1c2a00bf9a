"""Reads the value of an assignment: quoted in any way, or bare up to where it ends."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_MAX_ESCAPED: Final = 4096
_MAX_READS: Final = 16
_QUOTE: Final = re.compile(r"""[rbfuRBFU@$]{0,2}(?P<quote>\\{0,7}(?:\"{3}|'{3}|["'`]))""")
_QUOTED: Final = {
    '"': re.compile(r'(?:[^"\\\r\n]++|\\.)*+'),
    "'": re.compile(r"(?:[^'\\\r\n]++|\\.)*+"),
    "`": re.compile(r"(?:[^`\\\r\n]++|\\.)*+"),
}
_UNQUOTED: Final = re.compile(
    r"""
    (?: [^\s"'`\\&;,\x1b$<{]++
      | \$\{[^}\n]{0,80}\} | \{\{[^}\n]{0,80}\}\} | <[A-Za-z][^>\n]{0,60}> | [$<{]
      | \\(?![nrtu"'\\])
      | [&;,](?![\s\\]|[\w.\ -]{1,30}[=:]|\Z)
    )++
    """,
    re.VERBOSE,
)
_ELEMENT: Final = re.compile(r"[^<>\s]{1,4096}+(?=</)")


class Value(NamedTuple):
    """Where a value stands, without its quotes."""

    start: int
    end: int
    quoted: bool


class ValueReader:
    """Reads the values of one text, and remembers the last unquoted run.

    In ``a=b=c=…`` every name's value ends where the first one's ends; to look for that end
    again from each name would cost the square of the length.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = self._end = self._reads = 0

    def value_at(self, position: int) -> Value | None:
        """Returns the value that begins at the position, without its quotes."""
        opening = _QUOTE.match(self._text, position)
        if opening is None:
            return self._unquoted_at(position)
        quote, start = opening["quote"], opening.end()
        pattern = _QUOTED.get(quote)
        if pattern is None:
            end = _end_of_escaped(self._text, start, quote)
        else:
            match = pattern.match(self._text, start)
            end = match.end() if match else start
        return Value(start, end, quoted=True) if end > start else None

    def element_at(self, position: int) -> Value | None:
        """Returns the text of an XML element that begins at the position."""
        match = _ELEMENT.match(self._text, position)
        return Value(match.start(), match.end(), quoted=False) if match else None

    def _unquoted_at(self, position: int) -> Value | None:
        if self._start <= position < self._end:
            self._reads += 1
            inside = self._reads <= _MAX_READS
            return Value(position, self._end, quoted=False) if inside else None
        match = _UNQUOTED.match(self._text, position)
        if match is None:
            return None
        self._start, self._end, self._reads = match.start(), match.end(), 0
        return Value(match.start(), match.end(), quoted=False)


def _end_of_escaped(text: str, start: int, quote: str) -> int:
    limit = min(len(text), start + _MAX_ESCAPED)
    end = text.find(quote, start, limit)
    while end > 0 and text[end - 1] == "\\" and quote[0] == "\\":
        end = text.find(quote, end + 1, limit)
    if end >= 0:
        return end
    line_end = text.find("\n", start, limit)
    return line_end if line_end >= 0 else limit
