"""A question, taken apart once for all projects it is asked of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo

from memory_core.text.tokens import Term, query_terms

MAX_TERMS = 64
"""Terms of a question that are looked up; a pasted log has thousands."""

MAX_EMBEDDED_CHARS = 2_000

_END = re.compile(
    r"\b(?:in|at|by|near) the (?:very )?end\b|\b(?:leave|left) off\b|\b(?:end|ended) up\b"
    r"|\b(?:final|finally|lastly|did .{1,60}\bend)\b"
    r"|\blast\b(?!\s+(?:night|week|month|year|\w+day|january|february|march|april|may|june|july"
    r"|august|september|october|november|december))",
    re.IGNORECASE,
)
_START = re.compile(
    r"\b(?:in|at|from) the (?:very )?(?:beginning|start|outset)\b"
    r"|\b(?:first|initial|initially|originally|started (?:with|on|working))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a question asks for.

    ``words`` are the terms as a set, for names. ``at_end`` and ``at_start`` tell whether it asks
    for the end or the start of something.
    """

    text: str
    terms: tuple[Term, ...]
    words: frozenset[str]
    at_end: bool
    at_start: bool
    now: datetime
    zone: tzinfo


def parse_question(text: str, now: datetime, zone: tzinfo) -> Question:
    """Returns the question taken apart; ``now`` is aware."""
    terms = tuple(query_terms(text)[:MAX_TERMS])
    return Question(
        text=text,
        terms=terms,
        words=frozenset(term.text for term in terms),
        at_end=_END.search(text[:MAX_EMBEDDED_CHARS]) is not None,
        at_start=_START.search(text[:MAX_EMBEDDED_CHARS]) is not None,
        now=now,
        zone=zone,
    )
