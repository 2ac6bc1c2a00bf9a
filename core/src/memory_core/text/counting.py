"""A text as numbers: its terms as 64-bit hashes with how often each occurs.

A term is known by its hash alone. So what is stored of a text needs no dictionary beside it,
and means the same in every file and database. Among a million distinct terms the chance that
any two share a hash is about 3e-8.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_core.text.tokens import MAX_TOKENS, expand, raw_tokens

TermHashes = NDArray[np.uint64]
Frequencies = NDArray[np.uint16]

_MOST = 65_535
_SHORT = 64


class TermCounts(NamedTuple):
    """Distinct terms in ascending order of hash, and the frequency of each (at most 65,535)."""

    terms: TermHashes
    frequencies: Frequencies


@lru_cache(maxsize=131_072)
def term_hash(term: str) -> int:
    """Returns the term's 64-bit BLAKE2b hash."""
    data = term.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def count_terms(text: str) -> tuple[TermCounts, int]:
    """Returns the distinct terms of a text with their frequencies, and its length in terms."""
    hashes: list[int] = []
    for raw in raw_tokens(text):
        hashes.extend(_raw_hashes(raw))
        if len(hashes) >= MAX_TOKENS:
            del hashes[MAX_TOKENS:]
            break
    counts = Counter(hashes)
    terms = np.fromiter(counts.keys(), dtype=np.uint64, count=len(counts))
    often = np.fromiter(counts.values(), dtype=np.int64, count=len(counts))
    order = np.argsort(terms)
    frequencies = np.minimum(often[order], _MOST).astype(np.uint16)
    return TermCounts(terms[order], frequencies), len(hashes)


def sum_counts(parts: Sequence[TermCounts]) -> TermCounts:
    """Returns the counts of a text from those of its parts."""
    if len(parts) == 1:
        return parts[0]
    terms, places = np.unique(np.concatenate([part.terms for part in parts]), return_inverse=True)
    often = np.bincount(
        places, np.concatenate([part.frequencies for part in parts]), minlength=terms.size
    )
    return TermCounts(terms, np.minimum(often, _MOST).astype(np.uint16))


def _raw_hashes(raw: str) -> tuple[int, ...]:
    return (
        _short_hashes(raw)
        if len(raw) <= _SHORT
        else tuple(term_hash(term.text) for term in expand(raw))
    )


@lru_cache(maxsize=131_072)
def _short_hashes(raw: str) -> tuple[int, ...]:
    return tuple(term_hash(term.text) for term in expand(raw))


def fingerprint(counts: TermCounts) -> int:
    """Returns the 64-bit SimHash of a text: texts that share most terms differ in few bits.

    Charikar 2002, "Similarity estimation techniques from rounding algorithms"; every term
    votes with 1 + its frequency's binary logarithm. A text without terms gives 0.
    """
    if counts.terms.size == 0:
        return 0
    votes = 1.0 + np.log2(counts.frequencies.astype(np.float64))
    bits = np.unpackbits(counts.terms.astype("<u8").view(np.uint8), bitorder="little")
    ballot = votes @ (bits.reshape(-1, 64).astype(np.float64) * 2.0 - 1.0)
    return int.from_bytes(np.packbits(ballot > 0, bitorder="little").tobytes(), "little")
