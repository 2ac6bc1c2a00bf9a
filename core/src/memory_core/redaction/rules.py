"""Rules as data: a literal that must occur, a pattern around it, a check of what was found.

A pattern is only ever tried where its literal stands and only ever runs over a bounded or
possessive stretch, so the cost is linear in the text whatever the text is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final, NamedTuple

from memory_core.redaction.values import character_classes, is_scrambled, is_stand_in

_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_LONG_RUN: Final = re.compile(r"[A-Za-z0-9_.~+/-]{18,}+")
_SEPARATORS: Final = re.compile(r"[-_.:]+")
_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")
_COLOUR: Final = re.compile(r"(?:\x1b|\\033|\\e|\\x1b|\\u001b)\[[0-9;]{0,12}m\Z")


class Evidence(IntEnum):
    """What a finding rests on; of two that overlap, the stronger gives the type."""

    RANDOM = 0  # the value is random, and that is all
    PLACE = 1  # a name, header or command says so
    FORM = 2  # the text has the form of one type only


class Span(NamedTuple):
    """A finding: where it stands, its type, and what it rests on."""

    start: int
    end: int
    kind: str
    evidence: Evidence


class Subject(NamedTuple):
    """A text under examination, with the views of it that the prefilters need.

    ``lower`` has the same length as ``text``; ``runs`` holds the long unbroken runs of
    ``text``, each on a line, outside of which no token of a known form can stand.
    """

    text: str
    lower: str
    runs: str


def subject_of(text: str) -> Subject:
    """Returns the subject of a text."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = text.translate(_ASCII_LOWER)
    return Subject(text, lower, "\n".join(_LONG_RUN.findall(text)))


Detector = Callable[[Subject], Iterable[Span]]


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Returns the compiled pattern; compiling at first use keeps the import fast."""
    return re.compile(pattern, re.ASCII)


def not_stand_in(value: str) -> bool:
    """Accepts all but documented examples and templates."""
    return not is_stand_in(value)


def scrambled(value: str) -> bool:
    """Accepts only what looks machine-made: for rules whose form also fits plain words."""
    joined = _SEPARATORS.sub("", value)
    # Lower case and digits also make names ("sha2-nistp256"), so they have to change more often.
    share = 0.2 if character_classes(joined) >= 3 else 0.25
    return not is_stand_in(value) and is_scrambled(joined, share=share)


@dataclass(frozen=True, slots=True)
class Rule:
    """One form of credential.

    Attributes:
        kind: name of the type (see ``kinds.KINDS``).
        literals: texts of which one must occur; the pattern starts at it, or ``leads``
            characters before it.
        pattern: regular expression; group ``secret`` is what is taken out, else all of it.
        accept: decides about the text taken out.
        leads: how many characters before the literal a match may start, tried in order.
        anywhere: search the literal in the whole text, not only in its long runs.
        alone: refuse a match that a word character, or one of ``-`` and ``_``, precedes.
    """

    kind: str
    literals: tuple[str, ...]
    pattern: str
    accept: Callable[[str], bool] = not_stand_in
    leads: tuple[int, ...] = (0,)
    anywhere: bool = False
    alone: bool = False

    def spans(self, text: str, literal: str) -> Iterator[Span]:
        """Yields the findings around each occurrence of one of the rule's literals."""
        pattern = compiled(self.pattern)
        group = "secret" if "secret" in pattern.groupindex else 0
        position, ended = text.find(literal), -1
        while position >= 0:
            resume = position + len(literal)
            match = self._match(pattern, text, position, ended)
            if match is not None:
                ended = match.end()
                resume = max(ended, resume)
                if self.accept(match[group]):
                    yield Span(match.start(group), match.end(group), self.kind, Evidence.FORM)
            position = text.find(literal, resume)

    def _match(
        self, pattern: re.Pattern[str], text: str, position: int, ended: int
    ) -> re.Match[str] | None:
        """Returns the match around a literal; ``ended`` is where the one before ended."""
        for lead in self.leads:
            start = position - lead
            if start == ended or (start >= 0 and starts_afresh(text, start, alone=self.alone)):
                match = pattern.match(text, start)
                if match is not None:
                    return match
        return None


def starts_afresh(text: str, position: int, *, alone: bool = False) -> bool:
    """Tells whether a token may begin here: not inside a longer word.

    A letter that ends an escape (``\\n``, ``%3D``, ``\\u003d``, a colour code) is no word.
    """
    if position == 0 or not (text[position].isalnum() or text[position] in "-_"):
        return True
    before = text[position - 1]
    if not (before.isalnum() or (alone and before in "-_")):
        return True
    if before in "nrtbf" and text[position - 2 : position - 1] == "\\":
        return True
    if before == "m":
        return _COLOUR.search(text, max(0, position - 22), position) is not None
    return before in _HEX_DIGITS and any(
        text.startswith(sign, position - back) and position >= back
        for sign, back in (("%", 3), ("\\x", 4), ("\\u", 6))
    )


class RuleSet:
    """The rules of one or more tables, searched together."""

    def __init__(self, *tables: tuple[Rule, ...]) -> None:
        self.rules: Final = tuple(rule for table in tables for rule in table)
        pairs = [(literal, rule) for rule in self.rules for literal in rule.literals]
        self._in_runs: Final = tuple(pair for pair in pairs if not pair[1].anywhere)
        self._anywhere: Final = tuple(pair for pair in pairs if pair[1].anywhere)

    def __call__(self, subject: Subject) -> Iterator[Span]:
        """Yields every finding; findings may overlap."""
        text, runs = subject.text, subject.runs
        if runs:
            for literal, rule in self._in_runs:
                if literal in runs:
                    yield from rule.spans(text, literal)
        for literal, rule in self._anywhere:
            if literal in text:
                yield from rule.spans(text, literal)
