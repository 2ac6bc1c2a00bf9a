"""Secrets given to a name: ``DB_PASSWORD=…``, ``secret: …``, ``"apiKey": "…"``, ``--token …``.

The search starts at words that names of credentials contain, reads the operator to the
right, then the whole name to the left, and lets name, place and value decide together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from memory_core.redaction.judge import Place, accepts, looks_made
from memory_core.redaction.names import STEMS, Class, Meaning, meaning_of
from memory_core.redaction.rules import Span, Subject

_MAX_NAME: Final = 64
_MAX_VALUE: Final = 4096
_MAX_READS: Final = 16
_NAME_CHARACTERS: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
)


_AFTER_STEM: Final = re.compile(
    r"""
    (?:[A-Za-z0-9_]|-(?=[A-Za-z0-9])){0,40}+                # the rest of the name
    (?P<close>\\{0,7}["'`])?+ \]?+                          # "name", ['name']
    (?:[ \t]?\[[^\]\n]{0,24}\])?+                           # name[20], Name [None]
    (?:
      :[ \t]*[A-Za-z_&][\w.<>\[\]&'|, ]{0,40}?[ \t]*=[ \t]*(?=[rbfuRBFU]{0,2}["'`])   # typed
    | (?P<pair>\\{0,7}["'`]?\s{0,20},?\s{0,40}\\{0,7}["'`]?(?:value|Value|VALUE)
        \\{0,7}["'`]?[ \t]*[:=][ \t]*)
    | (?P<space>(?:[ \t]|\x1b\[[0-9;]{0,9}m)*+)
      (?P<op> :=|=>|={1,3}|!={1,2}|\?\?=?|\|\|=?|\?=|\+=|->|::?|,|>|(?:is|was|or)(?=[ \t:]) )?+
    )
    (?P<gap>(?:[ \t]|\x1b\[[0-9;]{0,9}m)*+
      (?:[|>][-+]?\d?[ \t]*\r?\n[ \t]+                      # YAML block
        |[\\(]?[ \t]*\r?\n[ \t]*(?=["'])                    # quoted on the next line
        |(?:(?:\w{1,20}\.)?(?:SecretStr|SecretString|Secret|SecureString|Some|from|bytes|str)\()(?=["'])
      )?+
    )
    """,
    re.VERBOSE | re.ASCII,
)
# Comparisons, defaults, arguments: after these only a literal can be a secret.
_WANTS_QUOTES: Final = frozenset(
    ("==", "===", "!=", "!==", "->", "::", ",", "or", "??", "??=", "||", "||=")
)
_JOINS: Final = frozenset("?&;")
_QUOTE: Final = re.compile(r"""[rbfuRBFU@$]{0,2}(?P<quote>\\{0,7}(?:\"{3}|'{3}|["'`]))""")
_QUOTED: Final = {
    '"': re.compile(r'(?:[^"\\\r\n]|\\.)*+'),
    "'": re.compile(r"(?:[^'\\\r\n]|\\.)*+"),
    "`": re.compile(r"(?:[^`\\\r\n]|\\.)*+"),
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
_LINE_BEFORE: Final = re.compile(
    r"""(?:\A|\n|\\n)[ \t>+*\#;-]{0,24}(?:\d{1,6}[ \t]?[\u2192:|\t])?[ \t]{0,24}"""
    r"""(?:(?:export|setx?|ENV|ARG|env)[ \t]+)?["']?\Z"""
)
_LINE_AFTER: Final = re.compile(r"""[ \t]*(?:[#;/][^\n]{0,200}+)?(?:\r?\n|\\[nr]|\Z|["'])""")
_WORDS_BEFORE: Final = re.compile(r"(?:[A-Za-z]{2,16}[ ]){1,3}\Z")


class _Value(NamedTuple):
    start: int
    end: int
    quoted: bool


class _Reader:
    """Reads the values of one text, and remembers the last unquoted run.

    In ``a=b=c=…`` every name's value ends where the first one's ends; to look for that end
    again from each name would cost the square of the length.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = self._end = self._reads = 0

    def value_at(self, position: int) -> _Value | None:
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
        return _Value(start, end, quoted=True) if end > start else None

    def _unquoted_at(self, position: int) -> _Value | None:
        if self._start <= position < self._end:
            self._reads += 1
            inside = self._reads <= _MAX_READS
            return _Value(position, self._end, quoted=False) if inside else None
        match = _UNQUOTED.match(self._text, position)
        if match is None:
            return None
        self._start, self._end, self._reads = match.start(), match.end(), 0
        return _Value(match.start(), match.end(), quoted=False)


def find_assignments(subject: Subject) -> Iterator[Span]:
    """Yields the values of assignments that name and value together show to be secrets."""
    text, lower = subject.text, subject.lower
    reader = _Reader(text)
    seen: set[int] = set()
    for stem in STEMS:
        position = lower.find(stem)
        while position >= 0:
            end = position + len(stem)
            after = _AFTER_STEM.match(text, end)
            if after is not None and after.end() not in seen and _leads_on(after):
                seen.add(after.end())
                span = _examine(reader, position, after)
                if span is not None:
                    yield span
            position = lower.find(stem, end)


def _leads_on(after: re.Match[str]) -> bool:
    return bool(after["op"] or after["pair"] or after["space"] or after["gap"])


def _examine(reader: _Reader, position: int, after: re.Match[str]) -> Span | None:
    text = after.string
    start = position
    while start > 0 and position - start < _MAX_NAME and text[start - 1] in _NAME_CHARACTERS:
        start -= 1
    if start and text[start - 1] == "\\" and text[start] in "nrt":
        start += 1  # an escaped line end, not a letter of the name
    if text[start - 1 : start] == "/":
        return None  # the end of a path
    raw = text[start : _name_end(after)]
    name = raw.lstrip("-.")
    meaning = meaning_of(name)
    if meaning is None or meaning.cls is Class.HINT:
        meaning = _meaning_with_words_before(text, start, name) or meaning
    if meaning is None:
        return None
    value = reader.value_at(after.end())
    if value is None:
        return None
    place = _place_of(text, start, raw, after, value, meaning)
    if place is None:
        return None
    value = _trimmed(text, value, place)
    found = text[value.start : value.end]
    if not accepts(meaning, place, found):
        return None
    kind = meaning.provider_kind if meaning.provider_kind and looks_made(found) else meaning.kind
    return Span(value.start, value.end, kind, specific=False)


def _name_end(after: re.Match[str]) -> int:
    end = after.start()
    text = after.string
    while end < len(text) and end - after.start() < 40 and text[end] in _NAME_CHARACTERS:
        end += 1
    while end > after.start() and text[end - 1] in "-.":
        end -= 1
    return end


def _meaning_with_words_before(text: str, start: int, name: str) -> Meaning | None:
    before = _WORDS_BEFORE.search(text, max(0, start - 40), start)
    return meaning_of(before[0] + name) if before else None


def _end_of_escaped(text: str, start: int, quote: str) -> int:
    limit = min(len(text), start + _MAX_VALUE)
    end = text.find(quote, start, limit)
    while end > 0 and text[end - 1] == "\\" and quote[0] == "\\":
        end = text.find(quote, end + 1, limit)
    if end >= 0:
        return end
    line_end = text.find("\n", start, limit)
    return line_end if line_end >= 0 else limit


def _place_of(
    text: str, start: int, raw: str, after: re.Match[str], value: _Value, meaning: Meaning
) -> Place | None:
    op = after["op"] or ""
    if op == ">":
        closed = start > 0 and text[start - 1] == "<" and text.startswith("</", value.end)
        return Place.LINE if closed else None
    if op == "," and after["close"] is None:
        return None
    if value.quoted:
        return _place_of_quoted(op, is_pair=after["pair"] is not None)
    if op in _WANTS_QUOTES:
        return None
    flag = raw.startswith("-")
    if op == "" and after["pair"] is None:
        return Place.ARGUMENT if flag else Place.AFTER_SPACE
    tight = op == "=" and not after["space"] and not after["gap"]
    if tight and (flag or meaning.upper or text[max(0, start - 2) : start].rstrip()[-1:] in _JOINS):
        return Place.SHELL
    if _is_whole_line(text, start, value, is_pair=after["pair"] is not None):
        return Place.SHELL if meaning.upper else Place.LINE
    return Place.ARGUMENT if _stands_free(text, start, value) else Place.WORD


def _place_of_quoted(op: str, *, is_pair: bool) -> Place:
    if is_pair or op not in {",", "", "is", "was"}:
        return Place.LITERAL
    return Place.ARGUMENT if op else Place.AFTER_SPACE


def _is_whole_line(text: str, start: int, value: _Value, *, is_pair: bool) -> bool:
    if _LINE_AFTER.match(text, value.end) is None:
        return False
    return is_pair or _LINE_BEFORE.search(text, max(0, start - 60), start) is not None


def _stands_free(text: str, start: int, value: _Value) -> bool:
    """Tells prose and key=value lists from code: no bracket or comma on either side."""
    before = text[max(0, start - 8) : start].rstrip()[-1:]
    after = text[value.end : value.end + 1]
    return before not in set("(,{[<|.$:") and not (
        (after and after not in " \t\r\n\"'\\") or text[value.end - 1] in ",;)}]|"
    )


def _trimmed(text: str, value: _Value, place: Place) -> _Value:
    end = value.end
    if not value.quoted:
        closing = ".,;:!?)]}>" if place in {Place.WORD, Place.AFTER_SPACE} else ",;"
        while end > value.start and text[end - 1] in closing:
            end -= 1
    return value._replace(end=end)
