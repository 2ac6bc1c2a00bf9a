"""Personal data by form: payment cards, US social security numbers, e-mail, telephone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from memory_core.redaction.rules import Evidence, Span, Subject
from memory_core.redaction.values import words

# Not one of a row of groups, as in a dump.
_CARD: Final = re.compile(
    r"[2-6]\d{3}(?:(?<![\w.+$-]\d{4})|(?<=\\[nrt]\d{4}))(?<![0-9A-Fa-f]{4}[ -]\d{4})"
    r"(?:\d{9,12}|([ -])\d{4}\1\d{4}\1\d{2,4}|([ -])\d{6}\2\d{4,5})"
    r"(?![\w-]|\.\d|[ -][0-9A-Fa-f]{4,6}\b)"
)
# Each pattern starts with a literal, which the regex engine finds fastest.
_SSN_TAIL: Final = (
    re.compile(r"-(?P<group>\d{2})-(?P<serial>\d{4})(?![\w-]|\.\d)"),
    re.compile(r" (?P<group>\d{2}) (?P<serial>\d{4})(?![\w-]|\.\d)"),
)
_SSN_HEAD: Final = re.compile(r"(?:(?<![\w.+/-])|(?<=\\[nrt]))\d{3}\Z")
_PHONE: Final = re.compile(
    r"(?:"
    r"\+[1-9](?:\d{9,13}(?!\d)|[\d]{0,2}(?:[ .()-]{1,2}\d{1,8}){2,6})"
    r"|\(\d{3}\)[ -]?\d{3}[-. ]\d{4}"
    r"|[1-9]\d{2}([-. ])\d{3}\1\d{4}"
    r")(?![\w-]|\.\d)"
)
_AT: Final = re.compile(r"@(?=[A-Za-z0-9])")
_LOCAL: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+'-")
_DOMAIN: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}([A-Za-z]{2,18})(?![\w(-]|\.\w)"
)
_WIDE_TLDS: Final = words(
    """
    com org net edu gov mil int info biz name pro app dev page tech online site store shop cloud
    xyz blog team email live news media agency digital studio design network systems solutions
    company group global world world email academy health care bank finance legal consulting
    software engineering services support center zone space link click club life one today work
    works local internal lan intranet corp home test invalid example localdomain mobi travel jobs
    """
)


def find_cards(subject: Subject) -> Iterator[Span]:
    """Yields payment card numbers: an issuer's range, its length, and the Luhn digit."""
    for match in _CARD.finditer(subject.text):
        digits = re.sub(r"\D", "", match[0])
        if _is_issued(digits) and _passes_luhn(digits):
            yield Span(match.start(), match.end(), "credit_card", Evidence.FORM)


def find_ssns(subject: Subject) -> Iterator[Span]:
    """Yields US social security numbers in their 3-2-4 form.

    With spaces in place of hyphens only where the text speaks of such numbers.
    """
    spoken_of = "ssn" in subject.lower or "social sec" in subject.lower
    for tail in _SSN_TAIL if spoken_of else _SSN_TAIL[:1]:
        for match in tail.finditer(subject.text):
            head = _SSN_HEAD.search(subject.text, max(0, match.start() - 3), match.start())
            if head is None or head[0] in {"000", "666"} or head[0] >= "900":
                continue
            if match["group"] != "00" and match["serial"] != "0000":
                yield Span(head.start(), match.end(), "ssn", Evidence.FORM)


def find_contacts(subject: Subject) -> Iterator[Span]:
    """Yields e-mail addresses and telephone numbers."""
    yield from _find_emails(subject.text)
    for match in _PHONE.finditer(subject.text):
        before = subject.text[match.start() - 1 : match.start()]
        digits = sum(c.isdigit() for c in match[0])
        if 8 <= digits <= 15 and not (before.isalnum() or (before and before in "_.-+/$#=")):
            yield Span(match.start(), match.end(), "phone", Evidence.FORM)


def _find_emails(text: str) -> Iterator[Span]:
    for at in _AT.finditer(text):
        domain = _DOMAIN.match(text, at.end())
        if domain is None:
            continue
        start = at.start()
        while start > 0 and at.start() - start < 64 and text[start - 1] in _LOCAL:
            start -= 1
        while start < at.start() and text[start] in "'.-%":
            start += 1
        if start < at.start() and _is_address(text, text[start : at.start()], domain):
            yield Span(start, domain.end(), "email", Evidence.FORM)


def _is_address(text: str, local: str, domain: re.Match[str]) -> bool:
    tld = domain[1].lower()
    if len(tld) != 2 and tld not in _WIDE_TLDS:
        return False
    # git@host:path and git@host/path are remotes, not people.
    return not (local in {"git", "hg"} and text[domain.end() : domain.end() + 1] in {":", "/"})


def _is_issued(digits: str) -> bool:
    size, four, two = len(digits), int(digits[:4]), int(digits[:2])
    if size == 14:
        return two in {36, 38, 39} or 3000 <= four <= 3059
    if size == 15:
        return two in {34, 37}
    return size == 16 and (
        digits[0] == "4"
        or 51 <= two <= 55
        or 2221 <= four <= 2720
        or two in {62, 65}
        or four == 6011
        or 6440 <= four <= 6499
        or 3528 <= four <= 3589
    )


def _passes_luhn(digits: str) -> bool:
    """Checks the last digit by the formula of ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0
