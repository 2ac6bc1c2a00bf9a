"""Builds a project's view row by row, and takes snapshots of it.

Rows are only ever appended; a changed record is a new unit and the old one is dead. Columns
that change afterwards (who is alive, who is whose neighbour) are copied into each snapshot, so
that a search never sees half of a refresh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_core.recall.columns import ID_CHARS, Codes, Column, Refs
from memory_core.recall.postings import Segment, append_segment, build_segment
from memory_core.recall.vectors import VectorBlocks
from memory_core.recall.view import Chunks, ProjectView, Units
from memory_core.records import RECALLED_KINDS, Kind, Ref

ROLES = ("", "user", "assistant", "tool")
MESSAGE_CODE = RECALLED_KINDS.index(Kind.MESSAGE)

_KIND_CODES = {kind: code for code, kind in enumerate(RECALLED_KINDS)}
_ROLE_CODES = {role: code for code, role in enumerate(ROLES)}
_SEGMENT_POSTINGS = 1_000_000
"""Sorting takes three times the memory of what is sorted, so a large view is sorted in parts."""

_COLUMNS = (
    "_numbers", "_kind", "_role", "_tool", "_question", "_author", "_owner", "_session",
    "_position", "_created", "_quality", "_size", "_fingerprint", "_place", "_first",
    "_unit_alive", "_chunk_numbers", "_chunk_unit", "_length", "_start", "_end", "_before",
    "_after", "_chunk_alive", "_embedded",
)  # fmt: skip
_CODES = ("_authors", "_owners", "_sessions")
_SEGMENT = ("terms", "starts", "ordinals", "frequencies")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """A record as stored. ``number`` grows with every row of the store."""

    number: int
    kind: str
    id: str
    session_id: str | None
    position: int
    role: str
    tool: bool
    question: bool
    author: str
    owner_id: str | None
    created: float
    quality: float
    size: int
    fingerprint: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRows:
    """Chunks as stored, in columns; those of a unit are together and in order.

    ``unit`` holds the number of each chunk's unit, in the order of the units. ``terms`` and
    ``frequencies`` are the chunks' postings one after the other, ``distinct`` how many of them
    each chunk has.
    """

    number: Sequence[int]
    unit: Sequence[int]
    start: Sequence[int]
    end: Sequence[int]
    length: Sequence[int]
    distinct: NDArray[np.int64]
    terms: NDArray[np.uint64]
    frequencies: NDArray[np.uint16]


class ViewBuilder:
    """The growing columns of one project."""

    def __init__(self) -> None:
        self.vectors: VectorBlocks | None = None
        self._refs: Refs | list[Ref] = []
        self._authors, self._owners, self._sessions = Codes(), Codes(), Codes()
        self._numbers = Column(np.int64)
        self._kind, self._role = Column(np.uint8), Column(np.uint8)
        self._tool, self._question = Column(np.bool_), Column(np.bool_)
        self._author, self._owner = Column(np.int32), Column(np.int32)
        self._session, self._position = Column(np.int32), Column(np.int64)
        self._created, self._quality = Column(np.float64), Column(np.float32)
        self._size, self._fingerprint = Column(np.int32), Column(np.uint64)
        self._place, self._first = Column(np.float32), Column(np.int32)
        self._unit_alive = Column(np.bool_)
        self._chunk_numbers = Column(np.int64)
        self._chunk_unit, self._length = Column(np.int32), Column(np.int32)
        self._start, self._end = Column(np.int32), Column(np.int32)
        self._before, self._after = Column(np.int32), Column(np.int32)
        self._chunk_alive, self._embedded = Column(np.bool_), Column(np.bool_)
        self._segments: list[Segment] = []
        self._unlinked: set[int] = set()
        self._unsorted: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
        self._unsorted_size = 0

    @property
    def held(self) -> int:
        """The number of chunks and of vectors, those of records that are gone included."""
        return self._chunk_unit.values.size + int(np.count_nonzero(self._embedded.values))

    @property
    def dead_share(self) -> float:
        """The share of chunks that are kept though their record is gone."""
        alive = self._chunk_alive.values
        return 1.0 - float(np.count_nonzero(alive)) / alive.size if alive.size else 0.0

    @property
    def live(self) -> int:
        """The number of chunks of records that are there."""
        return int(np.count_nonzero(self._chunk_alive.values))

    @property
    def nbytes(self) -> int:
        """About how many bytes the view takes."""
        postings = sum(segment.size * 6 + segment.terms.size * 12 for segment in self._segments)
        rows = len(self._refs) * 300 + self._chunk_unit.values.size * 80
        return postings + rows + (self.vectors.nbytes if self.vectors else 0)

    def add(self, units: Sequence[UnitRow], chunks: ChunkRows) -> None:
        """Appends live units with their chunks; ``units`` are in the order of their numbers."""
        if not units:
            return
        first_unit = len(self._refs)
        self._add_units(units)
        self._add_chunks(chunks)
        added = np.arange(first_unit, len(self._refs), dtype=np.int32)
        self._first.extend(np.searchsorted(self._chunk_unit.values, added))
        self._unlinked.update(np.unique(self._session.values[first_unit:]).tolist())

    def kill(self, numbers: Sequence[int]) -> None:
        """Marks units as gone, by their numbers; unknown numbers are ignored."""
        places = _places(self._numbers.values, numbers)
        places = places[self._unit_alive.values[places]]
        if not places.size:
            return
        self._unit_alive.values[places] = False
        self._chunk_alive.values[np.isin(self._chunk_unit.values, places)] = False
        self._unlinked.update(np.unique(self._session.values[places]).tolist())

    def embed(self, numbers: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Stores the vectors (n, dimension) of chunks, by their numbers; unknown are ignored."""
        if self.vectors is None:
            return
        wanted = np.asarray(numbers, dtype=np.int64)
        known = np.isin(wanted, self._chunk_numbers.values)
        places = _places(self._chunk_numbers.values, wanted[known]).astype(np.int32)
        # A row that a snapshot may be reading is never written again.
        fresh = ~self._embedded.values[places]
        self.vectors.put(places[fresh], vectors[known][fresh])
        self._embedded.values[places] = True

    def mark_embedded(self, numbers: Sequence[int]) -> None:
        """Notes that chunks have a vector, which is kept elsewhere; unknown are ignored."""
        self._embedded.values[_places(self._chunk_numbers.values, numbers)] = True

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, list[str]]] | None:
        """Returns all that it holds, as arrays and lists of names by field, for `restored`.

        None where an id is not one that `Refs` keeps. What is returned must be written down
        before anything is added.
        """
        self.snapshot()
        ids = [ref.id for ref in self._refs]
        if any(len(each) > ID_CHARS or not each.isascii() for each in ids):
            return None
        arrays: dict[str, NDArray[Any]] = {
            name: getattr(self, name).values for name in _COLUMNS
        } | {"ids": np.array(ids, dtype=f"S{ID_CHARS}")}
        for number, segment in enumerate(self._segments):
            for name in _SEGMENT:
                arrays[f"segment {number} {name}"] = getattr(segment, name)
        for number, block in enumerate(self.vectors.blocks if self.vectors else ()):
            arrays[f"block {number} rows"], arrays[f"block {number} steps"] = block
        return arrays, {name: getattr(self, name).names for name in _CODES}

    @classmethod
    def restored(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        names: Mapping[str, Sequence[str]],
        vectors: VectorBlocks | None,
    ) -> ViewBuilder:
        """Returns a builder with what `state` gave; it may write into the arrays.

        ``vectors`` is the empty matrix to put the vectors in.

        Raises:
            KeyError: a field is missing.
        """
        builder = cls()
        for name in _COLUMNS:
            getattr(builder, name).restore(arrays[name])
        for name in _CODES:
            setattr(builder, name, Codes(names[name]))
        builder._refs = Refs(arrays["ids"], builder._kind.values)
        while f"segment {len(builder._segments)} terms" in arrays:
            at = f"segment {len(builder._segments)}"
            builder._segments.append(Segment(**{name: arrays[f"{at} {name}"] for name in _SEGMENT}))
        if vectors is not None:
            while f"block {len(vectors.blocks)} rows" in arrays:
                at = f"block {len(vectors.blocks)}"
                vectors.restore(arrays[f"{at} rows"], arrays[f"{at} steps"])
        builder.vectors = vectors
        return builder

    def snapshot(self) -> ProjectView:
        """Returns the view as it is now."""
        self._sort_postings()
        if self._unlinked:
            self._link(np.array(sorted(self._unlinked), dtype=np.int32))
            self._unlinked.clear()
        return ProjectView(
            units=Units(
                refs=self._refs,
                alive=self._unit_alive.values.copy(),
                kind=self._kind.values,
                role=self._role.values,
                tool=self._tool.values,
                question=self._question.values,
                author=self._author.values,
                owner=self._owner.values,
                session=self._session.values,
                created=self._created.values,
                quality=self._quality.values,
                size=self._size.values,
                place=self._place.values.copy(),
                fingerprint=self._fingerprint.values,
                first=self._first.values,
            ),
            chunks=Chunks(
                number=self._chunk_numbers.values,
                alive=self._chunk_alive.values.copy(),
                unit=self._chunk_unit.values,
                length=self._length.values,
                start=self._start.values,
                end=self._end.values,
                before=self._bounded(self._before.values),
                after=self._bounded(self._after.values),
                embedded=self._embedded.values.copy(),
            ),
            authors=self._authors.names,
            owners=self._owners.names,
            sessions=self._sessions.names,
            segments=tuple(self._segments),
            vectors=self.vectors,
        )

    def _bounded(self, neighbours: NDArray[np.int32]) -> NDArray[np.int32]:
        """Returns a copy in which "none" (-1) is the number of chunks."""
        return np.where(neighbours < 0, np.int32(neighbours.size), neighbours)

    def _add_units(self, units: Sequence[UnitRow]) -> None:
        self._refs.extend(Ref(Kind(row.kind), row.id) for row in units)
        self._numbers.extend([row.number for row in units])
        self._kind.extend([_KIND_CODES[Kind(row.kind)] for row in units])
        self._role.extend([_ROLE_CODES.get(row.role, 0) for row in units])
        self._tool.extend([row.tool for row in units])
        self._question.extend([row.question for row in units])
        self._author.extend([self._authors.of(row.author) for row in units])
        self._owner.extend(
            [-1 if row.owner_id is None else self._owners.of(row.owner_id) for row in units]
        )
        # A record without a session is a session of its own.
        self._session.extend(
            [self._sessions.of(row.session_id or f"{row.kind} {row.id}") for row in units]
        )
        self._position.extend([row.position for row in units])
        self._created.extend([row.created for row in units])
        self._quality.extend([row.quality for row in units])
        self._size.extend([row.size for row in units])
        self._fingerprint.extend([row.fingerprint for row in units])
        self._place.extend(np.zeros(len(units), dtype=np.float32))
        self._unit_alive.extend(np.ones(len(units), dtype=np.bool_))

    def _add_chunks(self, chunks: ChunkRows) -> None:
        count = len(chunks.unit)
        start = self._chunk_unit.values.size
        units = np.searchsorted(self._numbers.values, np.asarray(chunks.unit, dtype=np.int64))
        self._chunk_numbers.extend(chunks.number)
        self._chunk_unit.extend(units)
        self._length.extend(chunks.length)
        self._start.extend(chunks.start)
        self._end.extend(chunks.end)
        self._before.extend(np.full(count, -1, dtype=np.int32))
        self._after.extend(np.full(count, -1, dtype=np.int32))
        self._chunk_alive.extend(np.ones(count, dtype=np.bool_))
        self._embedded.extend(np.zeros(count, dtype=np.bool_))
        owners = np.repeat(np.arange(start, start + count, dtype=np.int32), chunks.distinct)
        self._unsorted.append((chunks.terms, owners, chunks.frequencies))
        self._unsorted_size += owners.size
        if self._unsorted_size >= _SEGMENT_POSTINGS:
            self._sort_postings()

    def _sort_postings(self) -> None:
        """Makes a segment of the postings that came since the last one."""
        if not self._unsorted_size:
            return
        terms, owners, frequencies = (
            np.concatenate([part[column] for part in self._unsorted]) for column in range(3)
        )
        fresh = build_segment(terms, owners, frequencies)
        self._segments = append_segment(self._segments, fresh)
        self._unsorted, self._unsorted_size = [], 0

    def _link(self, sessions: NDArray[np.int32]) -> None:
        """Chains the chunks of these sessions anew, and places their messages."""
        affected = np.zeros(len(self._sessions.names), dtype=np.bool_)
        affected[sessions] = True
        units = np.flatnonzero(affected[self._session.values] & self._unit_alive.values)
        # Messages of one session follow each other; all else stands alone, and not between them.
        alone = self._kind.values[units] != MESSAGE_CODE
        chain = np.where(alone, -1 - units, self._session.values[units])
        order = self._order(units, chain)
        units, alone, chain = units[order], alone[order], chain[order]
        first = self._first.values[units]
        counts = self._chunk_counts(units)
        chunks = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        chain = np.repeat(chain, counts)
        joined = chain[1:] == chain[:-1]
        self._before.values[chunks] = np.r_[-1, np.where(joined, chunks[:-1], -1)][: chunks.size]
        self._after.values[chunks] = np.r_[np.where(joined, chunks[1:], -1), -1][: chunks.size]
        self._set_places(units[~alone])

    def _order(self, units: NDArray[np.intp], chain: NDArray[np.intp]) -> NDArray[np.intp]:
        """Returns the order by chain, position, id."""
        position = self._position.values[units]
        order = np.lexsort((position, chain))
        ordered, placed = chain[order], position[order]
        if np.any((ordered[1:] == ordered[:-1]) & (placed[1:] == placed[:-1])):
            names = np.array([self._refs[unit].id for unit in units.tolist()])
            order = np.lexsort((names, position, chain))
        return order

    def _chunk_counts(self, units: NDArray[np.intp]) -> NDArray[np.int64]:
        bounds = np.append(self._first.values, self._chunk_unit.values.size).astype(np.int64)
        counts: NDArray[np.int64] = bounds[units + 1] - bounds[units]
        return counts

    def _set_places(self, messages: NDArray[np.intp]) -> None:
        """Sets where messages, ordered by session and position, stand in their session."""
        if not messages.size:
            return
        session = self._session.values[messages]
        starts = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])
        counts = np.diff(np.append(starts, session.size))
        rank = np.arange(session.size) - np.repeat(starts, counts)
        self._place.values[messages] = rank / np.maximum(np.repeat(counts, counts) - 1, 1)


def _places(
    numbers: NDArray[np.int64], wanted: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.intp]:
    """Returns the positions of those ``wanted`` that ascending ``numbers`` hold."""
    asked = np.asarray(wanted, dtype=np.int64)
    places = np.searchsorted(numbers, asked)
    inside = places < numbers.size
    places, asked = places[inside], asked[inside]
    found: NDArray[np.intp] = places[numbers[places] == asked]
    return found
