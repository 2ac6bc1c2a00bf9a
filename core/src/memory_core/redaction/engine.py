"""Takes secrets and personal data out of text.

Detectors propose spans, overlaps are settled, each span becomes a typed placeholder. This
is repeated until nothing more is found, so redacting twice changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from memory_core.redaction.assignments import find_assignments
from memory_core.redaction.blocks import drop_private, find_private_keys
from memory_core.redaction.commands import find_in_commands
from memory_core.redaction.context import find_in_context
from memory_core.redaction.encoded import decoded_runs
from memory_core.redaction.environment import find_random_values
from memory_core.redaction.kinds import (
    CATEGORY_OF,
    Category,
    categories_of,
    placeholder,
    placeholder_spans,
)
from memory_core.redaction.personal import find_cards, find_contacts, find_ssns
from memory_core.redaction.rules import Detector, Evidence, RuleSet, Span, Subject, subject_of
from memory_core.redaction.tokens_cloud import CLOUD_RULES
from memory_core.redaction.tokens_code import CODE_RULES, MODEL_RULES
from memory_core.redaction.tokens_services import SERVICE_RULES
from memory_core.redaction.wrapped import with_next_lines

# More rounds than nested findings can need; a bound, because the text may be hostile.
_MAX_ROUNDS: Final = 8

find_tokens: Final = RuleSet(CLOUD_RULES, CODE_RULES, MODEL_RULES, SERVICE_RULES)
_PLAIN: Final[tuple[Detector, ...]] = (
    find_private_keys,
    find_tokens,
    find_in_context,
    find_in_commands,
    find_assignments,
    find_random_values,
)


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without its secrets, and how many of each type were taken out."""

    text: str
    counts: Mapping[str, int]


def redact_text(text: str, level: str = "TEAM") -> Redacted:
    """Replaces secrets and personal data in a text by ``[REDACTED:type]``.

    Credentials, cards and ``<private>`` parts go at every level; social security numbers at
    TEAM and PUBLIC; e-mail addresses and telephone numbers at PUBLIC only. Linear in the
    length of the text.

    Args:
        text: any text; also one that was redacted before, which stays as it is.
        level: privacy level of the record: PUBLIC, TEAM, PRIVATE (or EPHEMERAL).

    Raises:
        InvalidInput: the level is unknown.
    """
    categories = categories_of(level)
    counts: Counter[str] = Counter()
    for _ in range(_MAX_ROUNDS):
        if "<" in text:
            text, dropped = drop_private(text)
            counts += Counter(private=dropped)
        spans = find_spans(text, categories)
        if not spans:
            break
        counts.update(span.kind for span in spans)
        text = _replaced(text, spans)
    return Redacted(text, dict(counts))


def find_spans(text: str, categories: frozenset[Category]) -> list[Span]:
    """Returns the findings of the given categories in order, free of overlaps."""
    subject = subject_of(text)
    found = [span for detector in _PLAIN for span in detector(subject)]
    found += _find_encoded(subject)
    if Category.CARD in categories:
        found += find_cards(subject)
    if Category.SSN in categories:
        found += find_ssns(subject)
    if Category.CONTACT in categories:
        found += find_contacts(subject)
    if not found:
        return found
    starts = frozenset(span.start for span in found)
    whole = [_whole(text, span, starts) for span in found]
    return _settled(_outside(whole, placeholder_spans(text)))


def _whole(text: str, span: Span, starts: frozenset[int]) -> Span:
    breakable = span.evidence is Evidence.FORM or span.kind == "encoded_secret"
    return with_next_lines(text, span, starts) if breakable else span


def _find_encoded(subject: Subject) -> Iterator[Span]:
    for start, end, decoded in decoded_runs(subject):
        inner = subject_of(decoded)
        if any(True for detector in _PLAIN for _ in detector(inner)):
            yield Span(start, end, "encoded_secret", Evidence.PLACE)


def _outside(spans: list[Span], taken: list[tuple[int, int]]) -> list[Span]:
    """Drops findings that begin inside an earlier placeholder, as its own name might.

    One that ends inside a placeholder takes in all of it.
    """
    if not taken:
        return spans
    starts = [start for start, _ in taken]
    kept: list[Span] = []
    for span in spans:
        before = bisect_right(starts, span.start) - 1
        if before >= 0 and span.start < taken[before][1]:
            continue
        last = bisect_left(starts, span.end) - 1
        end = max(span.end, taken[last][1]) if last > before else span.end
        kept.append(span._replace(end=end))
    return kept


def _settled(spans: Iterable[Span]) -> list[Span]:
    """Joins overlapping credentials, so that no part of any remains.

    The type is that of the finding with the strongest evidence, of equal ones the longest.
    Personal data that overlaps a credential belongs to the credential.
    """
    joined: list[Span] = []
    personal: list[Span] = []
    best = (Evidence.RANDOM, 0)
    for span in sorted(spans):
        if CATEGORY_OF[span.kind] is not Category.CREDENTIAL:
            personal.append(span)
            continue
        strength = (span.evidence, span.end - span.start)
        if not joined or span.start >= joined[-1].end:
            joined.append(span)
            best = strength
            continue
        last = joined[-1]
        winner = span if strength > best else last
        best = max(best, strength)
        joined[-1] = winner._replace(start=last.start, end=max(last.end, span.end))
    return _with_personal(joined, personal)


def _with_personal(credentials: list[Span], personal: list[Span]) -> list[Span]:
    if not personal:
        return credentials
    taken = bytearray(max(span.end for span in [*credentials, *personal]))
    for span in credentials:
        taken[span.start : span.end] = b"\1" * (span.end - span.start)
    kept = list(credentials)
    for span in sorted(personal, key=lambda s: (s.start - s.end, s)):
        if taken.find(1, span.start, span.end) < 0:
            taken[span.start : span.end] = b"\1" * (span.end - span.start)
            kept.append(span)
    return sorted(kept)


def _replaced(text: str, spans: list[Span]) -> str:
    pieces: list[str] = []
    position = 0
    for span in spans:
        pieces += [text[position : span.start], placeholder(span.kind)]
        position = span.end
    pieces.append(text[position:])
    return "".join(pieces)
