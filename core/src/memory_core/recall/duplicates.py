"""Hits that say what a better hit has said already."""

from __future__ import annotations

from dataclasses import dataclass, field

from memory_core.records import Ref

_FINGERPRINT_BITS = 12
"""More differing bits than this and the texts are not compared at all."""

_OVERLAP = 0.9
_COMPARED_CHARS = 8_000


@dataclass(slots=True)
class _Seen:
    ref: Ref
    session: int
    fingerprint: int
    text: str
    words: frozenset[str]
    repeats: list[Ref] = field(default_factory=list)


class Repeats:
    """Remembers accepted texts, best first, and recognises those that repeat one.

    A text repeats another if it is the same up to white space, or, within one session of one
    project, if nine tenths of the words of both are common.
    """

    def __init__(self) -> None:
        self._by_text: dict[str, _Seen] = {}
        self._by_ref: dict[Ref, _Seen] = {}
        self._by_session: dict[tuple[int, int], list[_Seen]] = {}

    def add(self, ref: Ref, project: int, session: int, fingerprint: int, text: str) -> bool:
        """Accepts a text and returns True, or notes it as a repeat and returns False."""
        compared = " ".join(text[:_COMPARED_CHARS].split())
        fresh = _Seen(ref, session, fingerprint, compared, frozenset(compared.lower().split()))
        # Long texts that begin alike may go on differently: their length decides with it.
        key = compared if len(text) <= _COMPARED_CHARS else f"{len(text)} {compared}"
        neighbours = self._by_session.setdefault((project, session), [])
        known = self._by_text.get(key) if compared else None
        known = known or next((seen for seen in neighbours if _alike(seen, fresh)), None)
        if known is not None:
            known.repeats.append(ref)
            return False
        self._by_text[key] = self._by_ref[ref] = fresh
        neighbours.append(fresh)
        return True

    def of(self, ref: Ref) -> tuple[Ref, ...]:
        """Returns the repeats of an accepted text, in the order of their scores."""
        return tuple(self._by_ref[ref].repeats)


def _alike(one: _Seen, other: _Seen) -> bool:
    if (one.fingerprint ^ other.fingerprint).bit_count() > _FINGERPRINT_BITS:
        return False
    if not one.words or not other.words:
        return False
    common = len(one.words & other.words)
    return common >= _OVERLAP * len(one.words | other.words)
