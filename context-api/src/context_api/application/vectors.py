"""The port of a vector index that runs as a server of its own. It suggests; SQL decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from memory_core.errors import Unavailable

RESTART_CHROMA = "make room where Chroma keeps its data, then docker-compose restart chroma"


class CannotWrite(Unavailable):
    """The vector server answers and takes no write: room and a restart mend that."""


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

    losses: int
    """How often `check` saw that the server had forgotten what it held."""

    def upsert(self, space: Space, items: Sequence[VectorItem]) -> None:
        """Stores vectors under their ids, replacing what was there. Any number at once.

        Of an id that comes twice the last holds. After an error a part may be stored; sending
        all again is harmless.

        Raises:
            InvalidInput: a vector has another dimension than the space, is not finite or is
                zero; nothing was stored.
        """

    def delete(self, space: Space, ids: Sequence[str]) -> None:
        """Removes vectors; those that are not there are no error."""

    def nearest(
        self, space: Space, query: NDArray[np.float32], limit: int
    ) -> list[tuple[str, float]]:
        """Returns ids with their cosine to ``query``, the nearest first, ``limit`` at most.

        Raises:
            InvalidInput: ``query`` has another dimension, is not finite or is zero.
        """

    def hashes(self, space: Space) -> Iterator[tuple[str, str]]:
        """Yields the id and content hash of every vector.

        What is written meanwhile may be missing or come twice.
        """

    def spaces(self, tenant_id: str, project_id: str) -> list[Space]:
        """Returns the spaces of a project, of every kind, model and generation.

        What another process made or dropped may show a little later.
        """

    def drop(self, space: Space) -> None:
        """Removes a space with all it holds; one that is not there is no error."""

    def check(self) -> None:
        """Stores a vector beside all spaces and asks for it.

        Raises:
            Unavailable: the server does not answer.
            CannotWrite: it answers, but takes no write.
            Corrupt: it answers without finding the vector. Spaces may be ruined too, and are
                to be verified; the next check begins with a new place for its vector.
        """

    def answers(self) -> None:
        """Asks for a sign of life, a small part of what `check` costs; says nothing of the index.

        Raises:
            Unavailable: the server does not answer.
        """

    def close(self) -> None:
        """Closes the connections."""
