"""A vector that must be found again: whether a vector server works, seen from outside."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

CANARY: Final = "memory-context-canary"
_DIMENSION: Final = 16
_PERCHES: Final = 64
_ALIKE: Final = 0.999


def sings(
    put: Callable[[str, NDArray[np.float32]], object],
    ask: Callable[[NDArray[np.float32]], list[tuple[str, float]]],
) -> bool:
    """Says whether a vector that is put in a new place is found there.

    It is put under one of a few ids, so that the collection never grows. Two processes that
    take the same id at the same time see each other's vector; a second try with another id
    tells that from damage.

    Args:
        put: stores a vector, (16,) float32, under an id.
        ask: returns the nearest id with its cosine.
    """
    return any(_found(put, ask) for _ in range(2))


def _found(
    put: Callable[[str, NDArray[np.float32]], object],
    ask: Callable[[NDArray[np.float32]], list[tuple[str, float]]],
) -> bool:
    id_ = f"perch-{secrets.randbelow(_PERCHES)}"
    noise = np.frombuffer(secrets.token_bytes(_DIMENSION), dtype=np.uint8)
    vector = noise.astype(np.float32) - np.float32(127.5)
    vector /= np.linalg.norm(vector)
    put(id_, vector)
    return any(found == id_ and score > _ALIKE for found, score in ask(vector)[:1])
