"""A project's index in memory: columns over its records and their chunks.

Three tables, all by ordinal: units (one record each), chunks (each belongs to one unit; those
of a unit are neighbours) and sessions. A record without a session is a session of its own.
Everything that recall computes about a project is arithmetic on these columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_core.recall.postings import Segment, find_postings
from memory_core.recall.vectors import VectorBlocks
from memory_core.records import Ref

Bools = NDArray[np.bool_]
Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Places = NDArray[np.intp]
"""Ordinals that columns are indexed by; numpy converts all others anew each time."""

KERNEL = (1.0, 2 / 3, 1 / 3)
"""Weights of a chunk, of those beside it and of those two away, in its window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Columns over records, (units,).

    ``kind`` indexes `memory_core.records.RECALLED_KINDS`. ``created`` is seconds since 1970.
    ``place`` is where a message stands in its session, 0 first to 1 last. ``size`` counts
    characters. ``first`` is the unit's first chunk. ``owner`` is -1 unless the record is private.
    """

    refs: Sequence[Ref]
    alive: Bools
    kind: NDArray[np.uint8]
    role: NDArray[np.uint8]
    tool: Bools
    question: Bools
    author: Ints
    owner: Ints
    session: Ints
    created: NDArray[np.float64]
    quality: Floats
    size: Ints
    place: Floats
    fingerprint: NDArray[np.uint64]
    first: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """Columns over chunks, (chunks,).

    ``before`` and ``after`` are the neighbours in the session's order, or the number of chunks
    where there is none. ``start`` and ``end`` are the span in the record's text. ``length``
    counts terms, repeats included. ``number`` is what the store calls a chunk, ascending.
    """

    number: NDArray[np.int64]
    alive: Bools
    unit: Ints
    length: Ints
    start: Ints
    end: Ints
    before: Ints
    after: Ints
    embedded: Bools


class ProjectView:
    """An immutable snapshot of a project's index."""

    def __init__(
        self,
        *,
        units: Units,
        chunks: Chunks,
        authors: Sequence[str],
        owners: Sequence[str],
        sessions: Sequence[str],
        segments: Sequence[Segment],
        vectors: VectorBlocks | None,
    ) -> None:
        """Holds the columns; ``authors``, ``owners`` and ``sessions`` are what codes stand for.

        Later entries of the three lists belong to later snapshots.
        """
        self.units = units
        self.chunks = chunks
        self.authors = authors
        self.owners = owners
        self.sessions = sessions
        self.session_count = int(units.session.max()) + 1 if units.session.size else 0
        self.vectors = vectors
        self._segments = segments
        self._all_alive = bool(chunks.alive.all())
        self.derived: dict[str, dict[str, NDArray[Any]]] = {}
        """What others compute from the view and want to find again."""

    @property
    def size(self) -> int:
        """The number of chunks, dead ones included: the length of every chunk column."""
        return int(self.chunks.unit.size)

    def postings(self, term: int) -> tuple[Ints, NDArray[np.uint16]]:
        """Returns the live chunks that hold the term, in any order, and its frequency in each."""
        ordinals, frequencies = find_postings(self._segments, term)
        if self._all_alive:
            return ordinals, frequencies
        kept = self.chunks.alive[ordinals]
        return ordinals[kept], frequencies[kept]

    @cached_property
    def live(self) -> int:
        """The number of live chunks."""
        return int(np.count_nonzero(self.chunks.alive))

    @cached_property
    def live_units(self) -> int:
        """The number of live records."""
        return int(np.count_nonzero(self.units.alive))

    @cached_property
    def chunk_session(self) -> Places:
        """The session of each chunk."""
        return self.units.session[self.chunks.unit].astype(np.intp)

    @cached_property
    def lengths(self) -> Floats:
        """The terms of each chunk; 0 if it is dead."""
        return np.where(self.chunks.alive, self.chunks.length, 0).astype(np.float32)

    @cached_property
    def window_lengths(self) -> Floats:
        """The terms of each chunk's window, weighted by the kernel; 0 if the chunk is dead."""
        # A dead chunk still points at those that were beside it.
        return np.where(self.chunks.alive, self.spread(self.lengths), np.float32(0.0))

    @cached_property
    def session_lengths(self) -> NDArray[np.float64]:
        """The terms of each session, (sessions,)."""
        weights = self.lengths.astype(np.float64)
        lengths: NDArray[np.float64] = np.bincount(
            self.chunk_session, weights, self.session_count
        ).astype(np.float64)
        return lengths

    @cached_property
    def by_session(self) -> tuple[Places, Places, Places]:
        """The live chunks grouped by session, where each group starts, and whose it is."""
        live = np.flatnonzero(self.chunks.alive)
        session = self.chunk_session[live]
        order = np.argsort(session, kind="stable")
        session = session[order]
        starts = np.flatnonzero(np.append(True, session[1:] != session[:-1]))[: session.size]
        return live[order], starts, session[starts]

    @cached_property
    def live_sessions(self) -> int:
        """The number of sessions with a live chunk."""
        live = self.chunk_session[self.chunks.alive]
        return int(np.count_nonzero(np.bincount(live, minlength=1)))

    def spread(self, values: Floats) -> Floats:
        """Returns for each chunk the kernel-weighted sum of ``values`` over its window."""
        padded = np.append(values, np.float32(0.0))
        total = values * np.float32(KERNEL[0])
        for before, after, weight in self.neighbours:
            total += np.float32(weight) * (padded.take(before) + padded.take(after))
        return total

    @cached_property
    def window_counts(self) -> Floats:
        """How many chunks each chunk and those beside it are."""
        before, after = self.chunks.before < self.size, self.chunks.after < self.size
        return (np.float32(1.0) + before + after).astype(np.float32, copy=False)

    @cached_property
    def neighbours(self) -> tuple[tuple[Places, Places, float], ...]:
        """The chunks at each distance of the kernel, with their weight."""
        rings = []
        before, after = self.chunks.before.astype(np.intp), self.chunks.after.astype(np.intp)
        befores, afters = np.append(before, self.size), np.append(after, self.size)
        for weight in KERNEL[1:]:
            rings.append((before, after, weight))
            before, after = befores.take(before), afters.take(after)
        return tuple(rings)
