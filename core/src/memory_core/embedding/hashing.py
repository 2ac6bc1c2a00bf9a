"""Vectors by feature hashing: deterministic, without a model, and without meaning.

Words and the three-character pieces of words are hashed to a position and a sign (Weinberger
et al. 2009, "Feature Hashing for Large Scale Multitask Learning", arXiv:0902.2206), so texts
that share words or word stems are near each other and nothing else is. It must be asked for by
name; it serves tests and machines where no model may be installed.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import ClassVar, Final

import numpy as np

from memory_core.embedding.port import Vectors, normalised, storable
from memory_core.errors import InvalidInput

_WORD: Final = re.compile(r"\w+")
_PIECE_WEIGHT: Final = 0.5
"""A word counts for more than the pieces that it merely shares."""


class HashingEmbedder:
    """The provider ``hashing``."""

    DEFAULT_DIMENSION: ClassVar[int] = 384

    def __init__(self, dimension: int = DEFAULT_DIMENSION) -> None:
        """Makes an embedder.

        Raises:
            InvalidInput: ``dimension`` is not between 8 and 4,096.
        """
        if not 8 <= dimension <= 4_096:
            raise InvalidInput("the dimension of the hashing embedder lies between 8 and 4096")
        self.dimension = dimension
        self.model = f"hashing-v1-{dimension}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns the vectors of the texts, (len(texts), dimension)."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for feature, weight in _weights(storable(text)):
                position, sign = _place(feature, self.dimension)
                vectors[row, position] += sign * weight
            if not vectors[row].any():
                # No features, or features that cancel out: still a vector of length 1.
                vectors[row, 0] = 1.0
        return normalised(vectors)

    def embed_query(self, text: str) -> Vectors:
        """Returns the vector of one text, (dimension,)."""
        vector: Vectors = self.embed([text])[0]
        return vector


def _weights(text: str) -> Iterator[tuple[str, float]]:
    """Yields features with dampened counts, 1 + ln(count)."""
    words = Counter(_WORD.findall(text.lower()))
    pieces: Counter[str] = Counter()
    for word, count in words.items():
        marked = f"^{word}$"
        for start in range(len(marked) - 2):
            pieces[marked[start : start + 3]] += count
    for word, count in words.items():
        yield f"w {word}", 1.0 + math.log(count)
    for piece, count in pieces.items():
        yield f"p {piece}", _PIECE_WEIGHT * (1.0 + math.log(count))


@lru_cache(maxsize=65_536)
def _place(feature: str, dimension: int) -> tuple[int, int]:
    digest = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "little")
    return (digest >> 1) % dimension, 1 if digest & 1 else -1
