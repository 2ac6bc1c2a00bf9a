"""Which chunks hold a term, and how often: sorted arrays instead of a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ordinals = NDArray[np.int32]
Frequencies = NDArray[np.uint16]

MERGED_MOST = 300_000
"""Postings of a merged segment at most: merging so many takes about 20 ms."""

_NONE = np.empty(0, dtype=np.int32)
_NEVER = np.empty(0, dtype=np.uint16)


@dataclass(frozen=True, slots=True)
class Segment:
    """The postings of consecutive chunks.

    ``terms`` (terms,) ascends; the postings of ``terms[i]`` are
    ``ordinals[starts[i]:starts[i + 1]]``, in any order.
    """

    terms: NDArray[np.uint64]
    starts: NDArray[np.uint32]
    ordinals: Ordinals
    frequencies: Frequencies

    @property
    def size(self) -> int:
        """The number of postings."""
        return int(self.ordinals.size)

    def span(self, term: int) -> slice | None:
        """Returns where the term's postings lie."""
        place = int(np.searchsorted(self.terms, np.uint64(term)))
        if place == self.terms.size or int(self.terms[place]) != term:
            return None
        return slice(int(self.starts[place]), int(self.starts[place + 1]))


def build_segment(
    terms: NDArray[np.uint64], ordinals: Ordinals, frequencies: Frequencies
) -> Segment:
    """Returns a segment of postings given as three equally long columns."""
    order = np.argsort(terms)
    arranged = terms[order]
    first = np.flatnonzero(np.r_[True, arranged[1:] != arranged[:-1]]) if order.size else order
    return Segment(
        terms=arranged[first],
        starts=np.append(first, order.size).astype(np.uint32),
        ordinals=ordinals[order],
        frequencies=frequencies[order],
    )


def append_segment(segments: Sequence[Segment], fresh: Segment) -> list[Segment]:
    """Returns the segments with a newer one, merging small ones so that they stay few."""
    result = list(segments)
    if fresh.size == 0:
        return result
    while result and result[-1].size < 2 * fresh.size:
        if result[-1].size + fresh.size > MERGED_MOST:
            break
        fresh = _merge(result.pop(), fresh)
    result.append(fresh)
    return result


def find_postings(segments: Sequence[Segment], term: int) -> tuple[Ordinals, Frequencies]:
    """Returns the chunks that hold the term, in any order, and its frequency in each."""
    found = [(segment, span) for segment in segments if (span := segment.span(term))]
    if not found:
        return _NONE, _NEVER
    if len(found) == 1:
        segment, span = found[0]
        return segment.ordinals[span], segment.frequencies[span]
    return (
        np.concatenate([segment.ordinals[span] for segment, span in found]),
        np.concatenate([segment.frequencies[span] for segment, span in found]),
    )


def _merge(older: Segment, newer: Segment) -> Segment:
    both = (older, newer)
    return build_segment(
        np.concatenate([np.repeat(s.terms, s.starts[1:] - s.starts[:-1]) for s in both]),
        np.concatenate([s.ordinals for s in both]),
        np.concatenate([s.frequencies for s in both]),
    )
