"""Credentials that their surroundings give away: headers, URLs, commands, hashes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from memory_core.redaction.judge import looks_made
from memory_core.redaction.rules import (
    Evidence,
    Span,
    Subject,
    compiled,
    not_stand_in,
    starts_afresh,
)
from memory_core.redaction.values import (
    character_classes,
    is_code,
    is_mixed,
    is_scrambled,
    is_stand_in,
)


@dataclass(frozen=True, slots=True)
class ContextRule:
    """A pattern tried over the whole text when one of ``hints`` is in its lower-case form.

    Group ``secret`` is what is taken out, else all of the match; ``accept`` decides about it.
    ``kind`` is the type; ``evidence`` what the pattern proves; ``afresh``
    asks that no word goes on into the match.
    """

    kind: str
    hints: tuple[str, ...]
    pattern: str
    accept: Callable[[str], bool] = not_stand_in
    evidence: Evidence = Evidence.FORM
    afresh: bool = False


def _is_bearer(value: str) -> bool:
    return not is_stand_in(value) and (
        is_scrambled(value) or (len(value) >= 8 and is_mixed(value) and not is_code(value))
    )


def _is_header_value(value: str) -> bool:
    return not is_stand_in(value) and len(value) >= 6 and any(c.isalnum() for c in value)


def _is_bare_header(value: str) -> bool:
    """Accepts what stands after ``Authorization:`` without a scheme, if it looks random."""
    made = looks_made(value) or (character_classes(value) == 4 and not is_code(value))
    return made and not is_stand_in(value)


def _is_basic(value: str) -> bool:
    """Accepts base64 that decodes to ``user:password``, or that looks random."""
    try:
        decoded = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    user, colon, password = decoded.partition(b":")
    readable = all(32 <= byte < 127 for byte in decoded)
    return bool(colon and readable and user + password)


def _is_userinfo_password(value: str) -> bool:
    return not is_stand_in(value) and not value.startswith(("$", "{", "%s", "/"))


def _is_cookie_value(value: str) -> bool:
    return not is_stand_in(value) and looks_made(value)


_GAP: Final = r"\\*[\"'`]?\s{0,4}[:=,]\s{0,4}\\*[\"'`]?"

CONTEXT_RULES: Final[tuple[ContextRule, ...]] = (
    ContextRule(
        "authorization_header",
        ("authorization",),
        rf"(?<![A-Za-z:])(?i:authorization){_GAP}[fFbB]?(?i:bearer|token|basic|apikey|api-key|bot|digest|negotiate|ghs|key)"
        r"[ \t:=+]{1,3}(?P<secret>[^\s\"'`\\,;<>{}$]{6,8192})",
        _is_header_value,
        evidence=Evidence.PLACE,
    ),
    ContextRule(
        "authorization_header",
        ("authorization",),
        rf"(?<![A-Za-z:])(?i:authorization){_GAP}(?P<secret>[A-Za-z0-9+/=_.~:@-]{{16,8192}})",
        _is_bare_header,
        evidence=Evidence.PLACE,
    ),
    ContextRule(
        "authorization_header",
        ("bearer",),
        r"\b(?i:bearer)[ \t]{1,3}(?P<secret>[A-Za-z0-9+/=_.~:-]{8,8192})",
        _is_bearer,
        evidence=Evidence.PLACE,
    ),
    ContextRule(
        "basic_auth",
        ("basic",),
        r"\b(?i:basic)[ \t]{1,3}(?P<secret>[A-Za-z0-9+/=_-]{8,1024})",
        _is_basic,
    ),
    ContextRule(
        "password",
        ("identified", "password '"),
        r"(?i:user\s[^\n;]{1,160}?\sidentified\s{1,4}(?:with\s\S{1,40}\s{1,4})?by"
        r"|(?:with|encrypted|user|role)\s{1,4}(?:\S{1,64}\s{1,4})?password)"
        r"\s{1,4}'(?P<secret>[^'\n]{3,200})'",
        evidence=Evidence.PLACE,
    ),
    ContextRule(
        "url_password",
        ("@tcp(", "@unix("),
        r":(?P<secret>[^\s:\"'`@/\\]{1,128})@(?:tcp|unix)\(",
        evidence=Evidence.PLACE,
    ),
    ContextRule(
        "sentry_dsn",
        ("sentry", "@o", "dsn"),
        r"https?://(?P<secret>[a-f0-9]{32}(?::[a-f0-9]{32})?)@[\w.-]{3,120}(?::\d{1,5})?/[\w/-]{1,80}",
    ),
    ContextRule(
        "url_password",
        ("://",),
        r"://[^\s/:@\"'`<>()\[\]{}|\\]{0,120}"
        r":(?P<secret>(?:\$\{[^}\s]{0,60}\}|\{\{[^}]{0,60}\}\}|<[\w -]{1,40}>"
        r"|[^\s/?\"'`<>(){}|\\]){1,256})@[\w\[$%{<.-]",
        _is_userinfo_password,
        evidence=Evidence.PLACE,
    ),
    ContextRule(
        "url_password",
        ("https://", "http://"),
        r"https?://(?P<secret>[A-Za-z0-9_.~-]{20,256})(?::x-oauth-basic)?@[\w.-]",
        lambda value: not is_stand_in(value) and looks_made(value),
        evidence=Evidence.PLACE,
    ),
    ContextRule(
        "presigned_url",
        ("-signature=",),
        r"(?i:X-(?:Amz|Goog)-Signature)=(?P<secret>[A-Fa-f0-9]{40,1024})",
    ),
    ContextRule(
        "cookie",
        ("cookie",),
        r"(?i:(?<![\w])(?:set-)?cookie)" + _GAP + r"(?P<list>[^\r\n\"'`]{8,8192})",
        evidence=Evidence.PLACE,
    ),
    ContextRule(
        "discord_token",
        (".",),
        r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,45}(?![A-Za-z0-9_.-])",
        looks_made,
        afresh=True,
    ),
    ContextRule(
        "password_hash",
        ("$",),
        r"\$(?:2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}|[156y]\$[^\s$:\"'\\]{1,60}\$[./A-Za-z0-9]{22,90}"
        r"|y\$[./A-Za-z0-9]{1,10}\$[./A-Za-z0-9]{1,40}\$[./A-Za-z0-9]{40,50}"
        r"|argon2(?:id|i|d)\$[^\s\"']{20,400}|scrypt\$[^\s\"']{20,400})",
    ),
)
_COOKIE: Final = re.compile(r"(?:\A|[;\s])[\w.%-]{1,80}=(?P<secret>[^;\s]{12,4096})")
_AWS_SECRET: Final = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])")
_AWS_ID: Final = re.compile(r"A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])")


_BY_HINT: Final = {
    hint: tuple(rule for rule in CONTEXT_RULES if hint in rule.hints)
    for hint in sorted({hint for rule in CONTEXT_RULES for hint in rule.hints})
}


def find_in_context(subject: Subject) -> Iterator[Span]:
    """Yields what headers, URLs and neighbours mark as a credential."""
    text, lower = subject.text, subject.lower
    tried: list[ContextRule] = []
    for hint, rules in _BY_HINT.items():
        if hint in lower:
            for rule in rules:
                if rule not in tried:
                    tried.append(rule)
                    yield from _found_by(rule, text)
    if "KIA" in text or "SIA" in text:
        yield from _find_aws_secrets(text)


def _found_by(rule: ContextRule, text: str) -> Iterator[Span]:
    pattern = compiled(rule.pattern)
    group = "secret" if "secret" in pattern.groupindex else 0
    for match in pattern.finditer(text):
        if rule.kind == "cookie":
            yield from _cookie_values(match)
        elif rule.afresh and not starts_afresh(text, match.start(), alone=True):
            continue
        elif rule.accept(match[group]):
            yield Span(match.start(group), match.end(group), rule.kind, rule.evidence)


def _cookie_values(header: re.Match[str]) -> Iterator[Span]:
    offset = header.start("list")
    for cookie in _COOKIE.finditer(header["list"]):
        if _is_cookie_value(cookie["secret"]):
            start, end = cookie.span("secret")
            yield Span(offset + start, offset + end, "cookie", Evidence.PLACE)


def _find_aws_secrets(text: str) -> Iterator[Span]:
    """Yields 40-character secrets that stand near an access key id, as in a credentials file."""
    reached = 0
    for access in _AWS_ID.finditer(text):
        if is_stand_in(access[0]):
            continue
        start = max(reached, access.start() - 200)
        for match in _AWS_SECRET.finditer(text, start, access.end() + 300):
            if is_scrambled(match[0], least=40) and not is_stand_in(match[0]):
                yield Span(match.start(), match.end(), "aws_secret_key", Evidence.FORM)
        reached = access.end()
