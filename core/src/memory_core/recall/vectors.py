"""The vectors of a project's chunks, by chunk ordinal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_ROWS = 4096


class VectorBlocks:
    """A growing matrix, (chunks, dimension) float32, that is never copied.

    A row is written once, before any snapshot says that it is there; so a snapshot may share
    the blocks with the writer. Memory of rows never written is not used.
    """

    def __init__(self, model: str, dimension: int) -> None:
        """Makes an empty matrix for vectors of one model."""
        self.model = model
        self.dimension = dimension
        self._blocks: list[Vectors] = []

    @property
    def nbytes(self) -> int:
        """Bytes of the blocks."""
        return sum(block.nbytes for block in self._blocks)

    def put(self, ordinals: NDArray[np.int32], vectors: Vectors) -> None:
        """Writes the vectors (n, dimension) of chunks (n,)."""
        if not ordinals.size:
            return
        while len(self._blocks) * _ROWS <= int(ordinals.max()):
            self._blocks.append(np.zeros((_ROWS, self.dimension), dtype=np.float32))
        blocks = ordinals // _ROWS
        for number in np.unique(blocks).tolist():
            mine = blocks == number
            self._blocks[number][ordinals[mine] % _ROWS] = vectors[mine]

    def dot(self, query: Vectors, count: int) -> Vectors:
        """Returns the inner products with the first ``count`` rows, (count,)."""
        products = np.zeros(count, dtype=np.float32)
        for number, block in enumerate(self._blocks):
            start = number * _ROWS
            if start >= count:
                break
            rows = block[: count - start]
            np.dot(rows, query, out=products[start : start + rows.shape[0]])
        return products
