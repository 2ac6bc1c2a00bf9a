"""Private key blocks, whole or cut, and what the user marked with ``<private>``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from memory_core.redaction.kinds import placeholder
from memory_core.redaction.rules import Evidence, Span, Subject

_BEGIN: Final = "-----BEGIN "
_END: Final = "-----END "
_HEAD: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_TAIL: Final = re.compile(r"-----END (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
# Between two stretches of a key: line ends (also escaped), quotes, gutters of line numbers.
_GAP: Final = r"(?:\s|\\[nrt\\]|[\"'+>|,\u2192]|\d{1,6}[\u2192:|\t]){0,40}+"
_BODY: Final = re.compile(
    rf"(?:{_GAP}(?:[A-Za-z-]{{3,20}}: [^\n\\]{{0,120}}+))*+"
    rf"(?:{_GAP}[A-Za-z0-9+/=_-]{{16,}}+)++(?:{_GAP}=?[A-Za-z0-9+/]{{2,15}}={{0,2}}(?=\s*(?:\Z|\n\s*\n|\\n\Z|[\"'])))?+"
)
_LINE_END: Final = re.compile(r"\r?\n|\\r?\\?n")
_KEY_LINE: Final = re.compile(
    r"[ \t>|\"'+]*(?:\d{1,6}[ \t]?[\u2192:|\t])?[ \t]*[A-Za-z0-9+/]{2,80}={0,2}[\"', \t]*"
)
_SUBSTANCE: Final = re.compile(r"[A-Za-z0-9+/=_-]{16}")
_PUTTY: Final = re.compile(
    r"Private-Lines: \d{1,3}(?:\s|\\[nr])+((?:[A-Za-z0-9+/=]{4,80}(?:\s|\\[nr])*+)++)"
)
_JWK_MEMBER: Final = re.compile(
    r"""\\*"(?:d|p|q|dp|dq|qi|k)\\*"\s{0,8}:\s{0,8}\\*"([A-Za-z0-9_-]{20,}+)"""
)
_OPEN_OR_CLOSE: Final = re.compile(r"<(/?)private(?:\s[^<>]{0,200})?>", re.IGNORECASE)


def drop_private(text: str) -> tuple[str, int]:
    """Replaces what stands between ``<private>`` and ``</private>``; returns text and count.

    Tags nest and know no case; one that is never closed reaches to the end of the text.
    Directly after a word, as in ``Local<Private>``, an unclosed one is a type of some language.
    """
    tags = [*_OPEN_OR_CLOSE.finditer(text)]
    last_close = max((tag.start() for tag in tags if tag[1]), default=-1)
    pieces: list[str] = []
    depth = count = kept_from = 0
    for tag in tags:
        if tag[1]:
            if depth == 1:
                kept_from = tag.end()
            depth = max(0, depth - 1)
        elif depth or tag.start() < last_close or not _after_word(text, tag.start()):
            if depth == 0:
                pieces += [text[kept_from : tag.start()], placeholder("private")]
                count += 1
            depth += 1
    if depth == 0:
        pieces.append(text[kept_from:])
    return "".join(pieces), count


def _after_word(text: str, position: int) -> bool:
    return position > 0 and (text[position - 1].isalnum() or text[position - 1] == "_")


def find_private_keys(subject: Subject) -> Iterator[Span]:
    """Yields private key blocks: PEM and PGP (also cut at either end), PuTTY, JWK."""
    text = subject.text
    if _BEGIN in text or _END in text:
        yield from _find_armoured(text)
    if "Private-Lines: " in text:
        for match in _PUTTY.finditer(text):
            yield Span(match.start(1), match.end(1), "private_key", Evidence.FORM)
    if '"kty' in text:
        for match in _JWK_MEMBER.finditer(text):
            yield Span(match.start(1), match.end(1), "private_key", Evidence.FORM)


def _find_armoured(text: str) -> Iterator[Span]:
    position, ends = text.find(_BEGIN), []
    while position >= 0:
        head = _HEAD.match(text, position)
        following = text.find(_BEGIN, position + len(_BEGIN))
        if head is not None:
            limit = following if following >= 0 else len(text)
            end = _end_of_block(text, head.end(), limit)
            if end > head.end():
                yield Span(position, end, "private_key", Evidence.FORM)
                ends.append(end)
        position = following
    yield from _find_headless(text, frozenset(ends))


def _end_of_block(text: str, start: int, limit: int) -> int:
    """Returns where the block that starts at ``start`` ends, or ``start`` if it holds no key."""
    tail = _TAIL.search(text, start, limit)
    if tail is not None:
        return tail.end() if _SUBSTANCE.search(text, start, tail.start()) else start
    body = _BODY.match(text, start, limit)
    return body.end() if body else start


def _find_headless(text: str, known: frozenset[int]) -> Iterator[Span]:
    """Yields keys of which only the last lines and the END line are there."""
    floor = 0
    for tail in _TAIL.finditer(text):
        if tail.end() not in known:
            start = _start_of_last_lines(text, max(floor, tail.start() - 8192), tail.start())
            if _SUBSTANCE.search(text, start, tail.start()):
                yield Span(start, tail.end(), "private_key", Evidence.FORM)
        floor = tail.end()


def _start_of_last_lines(text: str, floor: int, end: int) -> int:
    breaks = [floor, *(m.end() for m in _LINE_END.finditer(text, floor, end)), end]
    start = end
    for begin, stop in zip(reversed(breaks[:-1]), reversed(breaks[1:]), strict=True):
        line = _LINE_END.sub("", text[begin:stop])
        if line and _KEY_LINE.fullmatch(line) is None:
            break
        start = begin
    return start
