"""Cosine similarity at three widths: the chunk, its window, and the best of the session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_core.errors import InvalidInput
from memory_core.recall.view import Floats, ProjectView

BEST_OF_SESSION = 3

# What a chunk without a vector is taken to be: a little more similar than a chance chunk, and
# more so the better its words match. Least squares over the chunks of chat and transcripts.
_UNKNOWN_BASE, _UNKNOWN_SLOPE = 0.12, 0.9
_DECIMALS = np.float32(1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseScores:
    """Cosines: of each chunk and window (chunks,), of each session (sessions,)."""

    chunk: Floats
    window: Floats
    session: Floats


def exact_similarities(
    view: ProjectView, model: str, query: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Returns the cosine of ``query`` and each chunk, (chunks,), NaN without a vector.

    None if the view holds no vector of this model.

    Raises:
        InvalidInput: ``query`` has another dimension than the model's vectors.
    """
    vectors = view.vectors
    if vectors is None or vectors.model != model or not view.chunks.embedded.any():
        return None
    if query.shape != (vectors.dimension,):
        raise InvalidInput(f"a query vector of {model} has {vectors.dimension} dimensions")
    products = vectors.dot(query, view.size)
    products[~view.chunks.embedded] = np.nan
    return products


def score_densely(
    view: ProjectView, similarities: NDArray[np.float32], words: Floats
) -> DenseScores:
    """Returns the three widths of ``similarities`` (chunks,), NaN where there is no vector.

    ``words`` are the lexical chunk scores: a chunk that waits for its vector is judged by them.
    The window is the mean over the chunk and its neighbours. The session is the mean of its
    three best distinct similarities, so that a text said twice counts once.
    """
    missing = np.isnan(similarities)
    known = similarities
    if missing.any():
        guess = (_UNKNOWN_BASE + _UNKNOWN_SLOPE * words).astype(np.float32)
        known = np.where(missing, guess, similarities)
    # The last bits of an inner product depend on where in memory its row lies. Without them
    # equal texts are equal, and their order is decided by their ids.
    chunk: Floats = np.rint(known * _DECIMALS).astype(np.float32, copy=False)
    chunk /= _DECIMALS
    return DenseScores(chunk=chunk, window=_window(view, chunk), session=_session(view, chunk))


def _window(view: ProjectView, chunk: Floats) -> Floats:
    before, after, _ = view.neighbours[0]
    padded = np.append(chunk, np.float32(0.0))
    total = chunk + padded.take(before)
    total += padded.take(after)
    total /= view.window_counts
    return total


def _session(view: ProjectView, chunk: Floats) -> Floats:
    order, starts, present = view.by_session
    result = np.zeros(view.session_count, dtype=np.float32)
    if not starts.size:
        return result
    left = chunk.take(order)
    sizes = np.diff(np.append(starts, order.size))
    total = np.zeros(starts.size, dtype=np.float32)
    count = np.zeros(starts.size, dtype=np.float32)
    best = np.full(starts.size, np.inf, dtype=np.float32)
    for number in range(BEST_OF_SESSION):
        if number:
            left[left >= np.repeat(best, sizes)] = -np.inf
        best = np.maximum.reduceat(left, starts)
        found = np.isfinite(best)
        total += np.where(found, best, np.float32(0.0))
        count += found
    result[present] = total / np.maximum(count, np.float32(1.0))
    return result
