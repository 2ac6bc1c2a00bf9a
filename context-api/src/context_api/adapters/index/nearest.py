"""Similarities from a vector server: it names the nearest chunks, the rest is estimated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from context_api.adapters.index.state import Model
from context_api.adapters.index.views import Origin
from context_api.application.vectors import Space, VectorIndex
from memory_core.errors import Corrupt, InvalidInput, Unavailable
from memory_core.recall.view import Bools, ProjectView
from memory_core.records import RECALLED_KINDS, Kind

NEAREST = 300
"""Chunks asked for of each kind; a search looks at a few dozen records."""

_TYPICAL = 0.1
"""The cosine of two texts that have nothing to do with each other, with sentence encoders."""

_SPACES = {
    "session": (Kind.SESSION, Kind.MESSAGE),
    "checkpoint": (Kind.CHECKPOINT,),
    "pattern": (Kind.PATTERN,),
}


def nearest_similarities(
    index: VectorIndex,
    view: ProjectView,
    origin: Origin,
    query: NDArray[np.float32],
    limit: int = NEAREST,
) -> NDArray[np.float32] | None:
    """Returns the cosine of ``query`` and each chunk, (chunks,), NaN without a vector.

    A chunk that has a vector and is not among the nearest ``limit`` of its kind gets an
    estimate not above the last of them. None if the server does not answer, or holds nothing
    of a kind of which it should.

    Raises:
        InvalidInput: ``query`` has another dimension than the model's vectors.
    """
    model = origin.model
    there = view.chunks.embedded & view.chunks.alive
    if model is None or not origin.generation or not there.any():
        return None
    if query.shape != (model.dimension,):
        raise InvalidInput(f"a query vector of {model.name} has {model.dimension} dimensions")
    result = np.full(view.size, np.nan, dtype=np.float32)
    kinds = view.units.kind[view.chunks.unit]
    for name, members in _SPACES.items():
        codes = [RECALLED_KINDS.index(kind) for kind in members]
        chosen = np.isin(kinds, codes) & there
        if not chosen.any():
            continue
        try:
            hits = index.nearest(_space(origin, model, name), query, limit)
        except (Unavailable, Corrupt):
            return None
        if not _fill(result, view, chosen, hits, limit):
            return None
    return result


def _space(origin: Origin, model: Model, kind: str) -> Space:
    return Space(
        tenant_id=origin.tenant_id,
        project_id=origin.project_id,
        kind=kind,
        model=model.name,
        dimension=model.dimension,
        generation=origin.generation,
    )


def _fill(
    result: NDArray[np.float32],
    view: ProjectView,
    chosen: Bools,
    hits: list[tuple[str, float]],
    limit: int,
) -> bool:
    """Writes the similarities of the ``chosen`` chunks; False if the server knows none of them."""
    wanted = np.array([int(name) for name, _ in hits if name.isdecimal()], dtype=np.int64)
    scores = np.array([score for name, score in hits if name.isdecimal()], dtype=np.float32)
    numbers = view.chunks.number
    places = np.searchsorted(numbers, wanted)
    known = places < numbers.size
    known[known] = numbers[places[known]] == wanted[known]
    known[known] = chosen[places[known]]
    if not known.any():
        return False
    worst = float(scores.min())
    # Of those left out it is only known that they are further away than the last named.
    unseen = min(worst, (worst + _TYPICAL) / 2) if len(hits) >= limit else min(worst, _TYPICAL)
    result[chosen] = np.float32(unseen)
    result[places[known]] = scores[known]
    return True
