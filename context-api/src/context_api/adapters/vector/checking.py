"""What is refused before it reaches an index: one bad vector can spoil the answers of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from context_api.application.vectors import Space, VectorItem
from memory_core.errors import InvalidInput


def checked_vector(space: Space, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns a vector as contiguous (dimension,) float32.

    Raises:
        InvalidInput: it has another dimension, is not finite, or is zero and so has no direction.
    """
    found = np.ascontiguousarray(vector, dtype=np.float32)
    if found.shape != (space.dimension,):
        raise InvalidInput(f"a vector of {space.dimension} numbers is needed, not {found.shape}")
    if not np.isfinite(found).all():
        raise InvalidInput("a vector holds a number that is not finite")
    if not found.any():
        raise InvalidInput("a vector of zeros has no direction")
    return found


def checked_items(space: Space, items: Sequence[VectorItem]) -> list[VectorItem]:
    """Returns the items with contiguous vectors, each id once: the last one given.

    Raises:
        InvalidInput: an item cannot be stored.
    """
    last: dict[str, VectorItem] = {}
    for item in items:
        if not item.id:
            raise InvalidInput("a vector needs an id")
        last[item.id] = item._replace(vector=checked_vector(space, item.vector))
    return list(last.values())
