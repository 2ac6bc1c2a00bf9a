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
    text: str
    fingerprint: int
    session: tuple[int, int]
    repeats: list[Ref] = field(default_factory=list)

    def words(self) -> frozenset[str]:
        return frozenset(self.text[:_COMPARED_CHARS].lower().split())


class Repeats:
    """Remembers accepted texts, best first, and recognises those that repeat one.

    A text repeats another if it is the same up to white space, or, within one session of one
    project, if nine tenths of the words of both are common.
    """

    def __init__(self) -> None:
        self._accepted: dict[Ref, _Seen] = {}

    def add(self, ref: Ref, project: int, session: int, fingerprint: int, text: str) -> bool:
        """Accepts a text and returns True, or notes it as a repeat and returns False.

        ``fingerprint`` is its SimHash: texts whose fingerprints differ much are not compared.
        """
        fresh = _Seen(ref, text, fingerprint, (project, session))
        for seen in self._accepted.values():
            if _repeats(seen, fresh):
                seen.repeats.append(ref)
                return False
        self._accepted[ref] = fresh
        return True

    def of(self, ref: Ref) -> tuple[Ref, ...]:
        """Returns the repeats of an accepted text, in the order of their scores."""
        return tuple(self._accepted[ref].repeats)


def _repeats(one: _Seen, other: _Seen) -> bool:
    differing = (one.fingerprint ^ other.fingerprint).bit_count()
    if differing > _FINGERPRINT_BITS:
        return False
    if one.text == other.text or one.text.split() == other.text.split():
        return True
    if one.session != other.session:
        return False
    words, others = one.words(), other.words()
    return bool(words) and len(words & others) >= _OVERLAP * len(words | others)
