"""A vector index in memory: exact, and gone with the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from context_api.adapters.vector.checking import checked_items, checked_vector
from context_api.application.vectors import Space, VectorItem

_Matrix: TypeAlias = tuple[list[str], NDArray[np.float32]]


class MemoryVectors:
    """Searches every vector. Threads may share it.

    For hubs that keep no vector server, and as what the others are held to.
    """

    def __init__(self) -> None:
        """Makes an empty index."""
        self.losses = 0
        self._lock = threading.Lock()
        self._spaces: dict[Space, dict[str, VectorItem]] = {}
        self._matrices: dict[Space, _Matrix] = {}

    def upsert(self, space: Space, items: Sequence[VectorItem]) -> None:
        """Stores vectors under their ids, replacing what was there."""
        good = checked_items(space, items)
        if not good:
            return
        with self._lock:
            held = self._spaces.setdefault(space, {})
            held.update((item.id, item._replace(vector=_unit(item.vector))) for item in good)
            self._matrices.pop(space, None)

    def delete(self, space: Space, ids: Sequence[str]) -> None:
        """Removes vectors; those that are not there are no error."""
        with self._lock:
            held = self._spaces.get(space, {})
            for item in ids:
                held.pop(item, None)
            self._matrices.pop(space, None)

    def nearest(
        self, space: Space, query: NDArray[np.float32], limit: int
    ) -> list[tuple[str, float]]:
        """Returns ids with their cosine to ``query``, the nearest first, ``limit`` at most."""
        direction = _unit(checked_vector(space, query))
        ids, matrix = self._matrix(space)
        if not ids or limit < 1:
            return []
        scores = matrix @ direction
        count = min(limit, len(ids))
        best = np.argpartition(-scores, count - 1)[:count]
        ordered = best[np.argsort(-scores[best], kind="stable")]
        return [(ids[row], float(scores[row])) for row in ordered]

    def hashes(self, space: Space) -> Iterator[tuple[str, str]]:
        """Yields the id and content hash of every vector."""
        with self._lock:
            held = list(self._spaces.get(space, {}).values())
        return ((item.id, item.content_hash) for item in held)

    def spaces(self, tenant_id: str, project_id: str) -> list[Space]:
        """Returns the spaces of a project, of every kind, model and generation."""
        with self._lock:
            return [one for one in self._spaces if one[:2] == (tenant_id, project_id)]

    def drop(self, space: Space) -> None:
        """Removes a space with all it holds; one that is not there is no error."""
        with self._lock:
            self._spaces.pop(space, None)
            self._matrices.pop(space, None)

    def check(self) -> None:
        """Does nothing: memory is there."""

    def answers(self) -> None:
        """Does nothing: memory is there."""

    def close(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._spaces.clear()
            self._matrices.clear()

    def _matrix(self, space: Space) -> _Matrix:
        with self._lock:
            found = self._matrices.get(space)
            if found is None:
                held = list(self._spaces.get(space, {}).values())
                rows = np.empty((len(held), space.dimension), dtype=np.float32)
                for row, item in enumerate(held):
                    rows[row] = item.vector
                found = self._matrices[space] = [item.id for item in held], rows
            return found


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return vector / np.float32(np.linalg.norm(vector))
