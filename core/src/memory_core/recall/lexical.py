"""BM25 at three widths: the chunk, its window in the session, and the whole session.

Okapi BM25 with the idf of Lucene (Robertson and Zaragoza 2009, "The Probabilistic Relevance
Framework: BM25 and Beyond", section 3; idf = ln(1 + (N - df + 0.5) / (df + 0.5)), which is never
negative). A window's term frequency and length are kernel-weighted sums over the chunk and its
neighbours, a session's are plain sums over its chunks.

Scores are divided by the most that the query can reach, the sum of idf * (k1 + 1) over its
terms, also those that occur nowhere. So they lie in 0..1, do not depend on filters, and a query
about unknown things scores low.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_core.recall.view import KERNEL, Floats, Places, ProjectView
from memory_core.text.counting import term_hash
from memory_core.text.tokens import Term

K1, B = 0.9, 0.4
"""Saturation and length normalisation of chunks and windows."""

SESSION_K1, SESSION_B = 1.2, 0.75
"""The same for sessions, whose lengths differ far more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LexicalScores:
    """Scores in 0..1: of each chunk and window (chunks,), of each session (sessions,).

    ``exact`` is the share of the query's exact names (by idf) that the chunk holds, 0 if the
    query has none. ``known`` is the share of the query, by idf, that occurs in the project.
    """

    chunk: Floats
    window: Floats
    session: Floats
    exact: Floats
    known: float


class _Sums:
    """What the terms add up to so far."""

    def __init__(self, view: ProjectView) -> None:
        # One row more than there are chunks: neighbours that do not exist point there.
        self.chunk = np.zeros(view.size + 1, dtype=np.float32)
        self.window = np.zeros(view.size + 1, dtype=np.float32)
        self.session = np.zeros(view.session_count, dtype=np.float32)
        self.exact = np.zeros(view.size + 1, dtype=np.float32)
        self.most = self.session_most = self.exact_most = self.known = 0.0


def score_lexically(view: ProjectView, terms: Sequence[Term]) -> LexicalScores:
    """Returns the BM25 scores of every chunk, window and session for the terms."""
    sums = _Sums(view)
    if view.live:
        norms = _norms(view)
        for term in terms:
            _add_term(view, norms, sums, term)
    return LexicalScores(
        chunk=_share(sums.chunk[:-1], sums.most * (K1 + 1)),
        window=_share(sums.window[:-1], sums.most * (K1 + 1)),
        session=_share(sums.session, sums.session_most * (SESSION_K1 + 1)),
        exact=_share(sums.exact[:-1], sums.exact_most),
        known=sums.known / sums.most if sums.most else 0.0,
    )


def idf(documents: int, holding: int) -> float:
    """Returns the inverse document frequency of a term that ``holding`` documents hold."""
    return math.log(1.0 + (documents - holding + 0.5) / (holding + 0.5))


class _Norms(NamedTuple):
    """The length part of BM25's denominator."""

    chunk: Floats
    window: Floats
    session: Floats


def _norms(view: ProjectView) -> _Norms:
    cached = view.derived.get("bm25_norms")
    if cached is None:
        chunk = _norm(view.lengths, view.live, K1, B)
        window = _norm(view.window_lengths, view.live, K1, B)
        session = _norm(view.session_lengths, view.live_sessions, SESSION_K1, SESSION_B)
        cached = view.derived["bm25_norms"] = _Norms(chunk, window, session)._asdict()
    return _Norms(**cached)


def _norm(lengths: NDArray[np.floating], count: int, k1: float, b: float) -> Floats:
    mean = float(lengths.sum(dtype=np.float64)) / count
    # Texts without any term: their length does not matter, as nothing can match.
    scale = k1 * b / mean if mean else 0.0
    return (k1 * (1.0 - b) + scale * lengths).astype(np.float32)


def _add_term(view: ProjectView, norms: _Norms, sums: _Sums, term: Term) -> None:
    ordinals, frequencies = view.postings(term_hash(term.text))
    chunks, often = ordinals.astype(np.intp), frequencies.astype(np.float32)
    weight = idf(view.live, chunks.size)
    sums.most += weight
    if term.exact:
        sums.exact_most += weight
        sums.exact[chunks] += np.float32(weight)
    if not chunks.size:
        sums.session_most += idf(view.live_sessions, 0)
        return
    sums.known += weight
    scale = np.float32(weight * (K1 + 1))
    sums.chunk[chunks] += scale * often / (often + norms.chunk.take(chunks))
    sums.window[:-1] += _window_scores(view, norms.window, chunks, often, scale)
    _add_to_sessions(view, norms.session, sums, chunks, often)


def _add_to_sessions(
    view: ProjectView, norm: Floats, sums: _Sums, chunks: Places, often: Floats
) -> None:
    holding = np.bincount(view.chunk_session.take(chunks), often, view.session_count)
    held = np.flatnonzero(holding > 0)
    there = holding[held].astype(np.float32)
    weight = idf(view.live_sessions, held.size)
    sums.session_most += weight
    sums.session[held] += np.float32(weight * (SESSION_K1 + 1)) * there / (there + norm[held])


def _window_scores(
    view: ProjectView, norm: Floats, chunks: Places, often: Floats, scale: np.float32
) -> Floats:
    """Returns what a term adds to each window, (chunks,)."""
    total = np.zeros(view.size + 1, dtype=np.float32)
    # A chunk is the neighbour of at most one chunk on each side, so no index repeats but the
    # one for "no neighbour", which is dropped.
    total[chunks] = often * np.float32(KERNEL[0])
    for before, after, weight in view.neighbours:
        share = often * np.float32(weight)
        for ring in (before, after):
            places = ring.take(chunks)
            total[places] = total.take(places) + share
    found = total[:-1]
    # Over all windows, most of which stay 0: finding the others first takes longer.
    divisor = found + norm
    found *= scale
    found /= divisor
    return found


def _share(sums: NDArray[np.floating], most: float) -> Floats:
    return (sums / most if most else sums).astype(np.float32, copy=False)
