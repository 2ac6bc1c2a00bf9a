"""What care of a vector index needs of SQL, which alone says what the index should hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from context_api.application.vectors import Space

SPACE_KINDS: Final = ("session", "checkpoint", "pattern")

Progress: TypeAlias = Callable[[str, int], None]
"""Told what is being done (reading, asking, mending, copying, switching) and how much is done."""


def space_kind(kind: str) -> str:
    """Returns the kind of space that a record's chunks lie in: messages lie with sessions."""
    return "session" if kind == "message" else kind


class SourceChunk(NamedTuple):
    """A chunk as SQL knows it. ``id`` is its number as text, and never used twice."""

    id: str
    record_id: str
    content_hash: str
    kind: str


class Generation(NamedTuple):
    """Which spaces of a project searches ask: a number, a model and its dimension."""

    number: int
    model: str
    dimension: int

    def space(self, source: IndexSource, kind: str) -> Space:
        """Returns the space of one kind."""
        return Space(
            source.tenant_id, source.project_id, kind, self.model, self.dimension, self.number
        )


class IndexSource(Protocol):
    """One project's chunks and vectors in SQL. Synchronous: called from threads."""

    @property
    def tenant_id(self) -> str:
        """The tenant."""

    @property
    def project_id(self) -> str:
        """The project."""

    def generation(self) -> Generation:
        """Returns the generation that searches ask and the indexer writes to."""

    def unused_number(self) -> int:
        """Returns a number above that of every generation that there ever was."""

    def chunks(self) -> Iterator[SourceChunk]:
        """Yields every chunk that should have a vector, without holding all in memory.

        One that is added or removed meanwhile may come or not.
        """

    def some(self, count: int) -> list[SourceChunk]:
        """Returns chunks chosen at random, of those whose vectors the index was given."""

    def retry_dead(self) -> int:
        """Lets the indexer try again what could not be embedded; returns how many texts."""

    def vectors(
        self, generation: Generation, hashes: Sequence[str]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Returns a generation's vectors by content hash; texts not embedded yet are left out."""

    def paused(self) -> AbstractContextManager[object]:
        """Keeps every indexer from writing this project's vectors while inside.

        Raises:
            Busy: one writes and does not end in time.
        """

    def note_equal(self, generation: Generation) -> None:
        """Notes that the index holds all that SQL now has of a generation. Only while paused."""

    def switch(self, expected: Generation, to: Generation) -> None:
        """Makes searches and the indexer use another generation, as one. Only while paused.

        The index holds all that SQL now has of it.

        Raises:
            Conflict: the generation is no longer ``expected``.
        """


def silent(_step: str, _done: int) -> None:
    """Reports progress to nobody."""


def parts(chunks: Iterable[SourceChunk], size: int) -> Iterator[list[SourceChunk]]:
    """Yields chunks in order, ``size`` at a time."""
    part: list[SourceChunk] = []
    for chunk in chunks:
        part.append(chunk)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
