"""Base64 text that decodes to readable text, in which a secret may hide."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

from memory_core.redaction.rules import Subject

_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{24,65536}")
_PADDING: Final = re.compile("={1,2}")
_URL_SAFE: Final = str.maketrans("-_", "+/")


def decoded_runs(subject: Subject) -> Iterator[tuple[int, int, str]]:
    """Yields (start, end, decoded text) of each base64 run that decodes to plain ASCII text."""
    position = 0
    for run in subject.runs.split("\n"):
        if len(run) < 24 or _RUN.fullmatch(run) is None:
            continue
        decoded = _decoded(run)
        if decoded is None:
            continue
        start = subject.text.index(run, position)
        position = start + len(run)
        padding = _PADDING.match(subject.text, position)
        yield start, padding.end() if padding else position, decoded


def _decoded(run: str) -> str | None:
    data = run.rstrip("=").translate(_URL_SAFE)
    # The first quantum alone tells images and digests from text.
    if not _is_text(_decode(data[:16])):
        return None
    whole = _decode(data[: len(data) - len(data) % 4] if len(data) % 4 == 1 else data)
    return whole.decode("ascii") if _is_text(whole) else None


def _decode(data: str) -> bytes:
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4))
    except (binascii.Error, ValueError):
        return b""


def _is_text(data: bytes) -> bool:
    return bool(data) and all(32 <= byte < 127 or byte in b"\t\n\r" for byte in data)
