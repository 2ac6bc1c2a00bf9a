"""Secrets given to a name: ``DB_PASSWORD=…``, ``secret: …``, ``"apiKey": "…"``, ``--token …``.

The search starts at words that names of credentials contain, reads the operator to the
right, then the whole name to the left, and lets name, place and value decide together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from memory_core.redaction.judge import accepts, looks_made
from memory_core.redaction.names import STEMS, Class, Meaning, meaning_of
from memory_core.redaction.places import Assignment, place_of, trimmed
from memory_core.redaction.reader import ValueReader
from memory_core.redaction.rules import Evidence, Span, Subject

_MAX_NAME: Final = 64
_NAME_CHARACTERS: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
)
_AFTER_STEM: Final = re.compile(
    r"""
    (?:[A-Za-z0-9_]|-(?=[A-Za-z0-9])){0,40}+                # the rest of the name
    (?P<close>\\{0,7}["'`])?+ \]?+                          # "name", ['name']
    (?:[ \t]?\[[^\]\n]{0,24}\])?+                           # name[20], Name [None]
    (?:
      (?P<typed>:[ \t]*[A-Za-z_&][\w.<>\[\]&'|, ]{0,40}?[ \t]*=[ \t]*
        (?=[rbfuRBFU]{0,2}["'`]))                           # password: str = "…"
    | (?P<pair>\\{0,7}["'`]?\s{0,20},?\s{0,40}\\{0,7}["'`]?(?:value|Value|VALUE)
        \\{0,7}["'`]?[ \t]*[:=][ \t]*|\s{0,4}>\s{0,40}<value>)
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
_WORDS_BEFORE: Final = re.compile(r"(?:[A-Za-z]{2,16}[ ]){1,3}\Z")


def find_assignments(subject: Subject) -> Iterator[Span]:
    """Yields the values of assignments that name and value together show to be secrets."""
    text, lower = subject.text, subject.lower
    reader = ValueReader(text)
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
    return bool(after["op"] or after["pair"] or after["typed"] or after["space"] or after["gap"])


def _examine(reader: ValueReader, position: int, after: re.Match[str]) -> Span | None:
    text = after.string
    start = _start_of_name(text, position)
    raw = text[start : _end_of_name(after)]
    meaning = _meaning(text, start, raw.lstrip("-."))
    # A path that ends in the word, or the name of a type ("AWS::IAM::AccessKey").
    if meaning is None or text[start - 1 : start] == "/" or text[start - 2 : start] == "::":
        return None
    in_element = after["op"] == ">" or (after["pair"] or "").endswith(">")
    value = (reader.element_at if in_element else reader.value_at)(after.end())
    if value is None:
        return None
    found = Assignment(text, start, raw, after, value, meaning.upper)
    place = place_of(found)
    if place is None:
        return None
    value = trimmed(text, value, place)
    secret = text[value.start : value.end]
    if not accepts(meaning, place, secret):
        return None
    kind = meaning.provider_kind if meaning.provider_kind and looks_made(secret) else meaning.kind
    evidence = Evidence.RANDOM if kind == "high_entropy" else Evidence.PLACE
    return Span(value.start, value.end, kind, evidence)


def _start_of_name(text: str, position: int) -> int:
    start = position
    while start > 0 and position - start < _MAX_NAME and text[start - 1] in _NAME_CHARACTERS:
        start -= 1
    if start and text[start - 1] == "\\" and text[start] in "nrt":
        start += 1  # an escaped line end, not a letter of the name
    return start


def _end_of_name(after: re.Match[str]) -> int:
    text, end = after.string, after.start()
    while end < len(text) and end - after.start() < _MAX_NAME and text[end] in _NAME_CHARACTERS:
        end += 1
    while end > after.start() and text[end - 1] in "-.":
        end -= 1
    return end


def _meaning(text: str, start: int, name: str) -> Meaning | None:
    """Returns the meaning of a name; words before a vague one belong to it ("cache key")."""
    meaning = meaning_of(name)
    if meaning is not None and meaning.cls is not Class.HINT:
        return meaning
    before = _WORDS_BEFORE.search(text, max(0, start - 40), start)
    return meaning_of(before[0] + name) if before else meaning
