"""Digests over ranges of a log, by which two ends find where they differ.

Each end halves nothing but what differs: finding d different events among n costs about
d * log(n) digests, whatever the size of the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import pairwise

FANOUT = 16


class RangeDigest:
    """The SHA-256 over the digests of the events of a range, which are added in order."""

    def __init__(self) -> None:
        self._state = hashlib.sha256()

    def add(self, digests: Iterable[bytes]) -> None:
        """Adds the digests of the next events."""
        self._state.update(b"".join(digests))

    def value(self) -> bytes:
        """Returns the digest over what was added so far (32 bytes)."""
        return self._state.digest()


def range_digest(digests: Iterable[bytes]) -> bytes:
    """Returns the SHA-256 over the digests of the events of a range, in order (32 bytes)."""
    made = RangeDigest()
    made.add(digests)
    return made.value()


def split(low: int, high: int, fanout: int = FANOUT) -> list[tuple[int, int]]:
    """Returns at most ``fanout`` ranges of nearly equal size that cover ``low``..``high``.

    Both ends of a range belong to it; an empty range gives none.
    """
    count = high - low + 1
    if count <= 0:
        return []
    parts = min(fanout, count)
    edges = [low + count * part // parts for part in range(parts + 1)]
    return [(start, stop - 1) for start, stop in pairwise(edges)]
