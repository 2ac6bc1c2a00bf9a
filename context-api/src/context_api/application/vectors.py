"""The port of a vector index that runs as a server of its own. It suggests; SQL decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Space(NamedTuple):
    """Where vectors lie that may be compared: one project, kind, model and generation.

    ``kind`` is session (messages lie there too), checkpoint or pattern. A generation is what
    was built from the log by one release's chunking; the next is built beside it.
    """

    tenant_id: str
    project_id: str
    kind: str
    model: str
    dimension: int
    generation: int


class VectorItem(NamedTuple):
    """A chunk's vector, (dimension,) float32 of length 1, with what it is checked by.

    ``id`` is the chunk's number as text; ``content_hash`` that of the text it was made from.
    """

    id: str
    record_id: str
    content_hash: str
    vector: NDArray[np.float32]


class VectorIndex(Protocol):
    """Nearest vectors by space. Synchronous: called from threads, never inside a transaction.

    Every method raises `Unavailable` when the server does not answer in time, at once while it
    is known not to, and `Corrupt` when a space is damaged: it answers, but wrongly. A space
    that is not there is empty; writing makes it.
    """

    def upsert(self, space: Space, items: Sequence[VectorItem]) -> None:
        """Stores vectors under their ids, replacing what was there. Any number at once."""

    def delete(self, space: Space, ids: Sequence[str]) -> None:
        """Removes vectors; those that are not there are no error."""

    def nearest(
        self, space: Space, query: NDArray[np.float32], limit: int
    ) -> list[tuple[str, float]]:
        """Returns ids with their cosine to ``query``, the nearest first, ``limit`` at most."""

    def hashes(self, space: Space) -> Iterator[tuple[str, str]]:
        """Yields the id and content hash of every vector."""

    def spaces(self, tenant_id: str, project_id: str) -> list[Space]:
        """Returns the spaces of a project, of every kind, model and generation."""

    def drop(self, space: Space) -> None:
        """Removes a space with all it holds; one that is not there is no error."""

    def check(self) -> None:
        """Asks the server for a vector that it is known to hold.

        Raises:
            Unavailable: it does not answer.
            Corrupt: it answers without finding the vector.
        """

    def close(self) -> None:
        """Closes the connections."""
