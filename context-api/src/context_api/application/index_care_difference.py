"""What SQL says and a vector index holds, compared by id and hash in both directions.

Never by count: an index that lost one vector and kept one of a deleted record counts right, and
so does one whose graph is ruined. Whether vectors can be *found* is asked by sample.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from context_api.application.index_care_source import (
    SPACE_KINDS,
    Generation,
    IndexSource,
    Progress,
    SourceChunk,
    parts,
    space_kind,
)
from context_api.application.vectors import Space, VectorIndex, VectorItem
from memory_core.errors import Corrupt
from memory_core.records import Document

BATCH: Final = 256
_ASKED_FOR: Final = 10
_SAME: Final = 0.999
"""Cosine from which on two vectors are the same one, after a server's float32 arithmetic."""

_BEARABLE: Final = 0.02
"""Share of a sample that an intact graph may miss: the search is approximate."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is being cared for: a generation of a project's spaces, and who is told of it."""

    index: VectorIndex
    source: IndexSource
    generation: Generation
    progress: Progress

    def space(self, kind: str) -> Space:
        """Returns the space of one kind."""
        return self.generation.space(self.source, kind)

    def vectors(self, chunks: Sequence[SourceChunk]) -> Mapping[str, NDArray[np.float32]]:
        """Returns the vectors that SQL has of chunks, by content hash."""
        hashes = list({chunk.content_hash for chunk in chunks})
        return self.source.vectors(self.generation, hashes)


@dataclass(slots=True)
class SpaceDifference:
    """How one space differs: what it lacks, holds of a former text, and holds too much."""

    expected: int = 0
    held: int = 0
    missing: list[SourceChunk] = field(default_factory=list)
    stale: list[SourceChunk] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)

    def counts(self) -> Document:
        """Returns the counts by name."""
        return {
            "expected": self.expected,
            "held": self.held,
            "missing": len(self.missing),
            "stale": len(self.stale),
            "orphans": len(self.orphans),
        }


@dataclass(slots=True)
class Difference:
    """How the spaces of a generation differ from SQL, with a sample of what is equal."""

    spaces: dict[str, SpaceDifference]
    waiting: int = 0
    damage: list[str] = field(default_factory=list)
    sample: list[SourceChunk] = field(default_factory=list)
    unfound: list[SourceChunk] = field(default_factory=list)
    asked: int = 0

    @property
    def verdict(self) -> str:
        """``ok``, ``drifted`` (repair mends it) or ``damaged`` (only a rebuild does)."""
        if self.damage or len(self.unfound) > _BEARABLE * self.asked:
            return "damaged"
        return "drifted" if self.unfound or not self.is_equal else "ok"

    @property
    def is_equal(self) -> bool:
        """Whether the same ids are on both sides with the same hashes."""
        return not any(one.missing or one.stale or one.orphans for one in self.spaces.values())

    def counts(self) -> Document:
        """Returns the sums and, below ``spaces``, the counts of each space."""
        each = {kind: one.counts() for kind, one in self.spaces.items()}
        names = ("expected", "held", "missing", "stale", "orphans")
        sums: Document = {name: sum(int(str(one[name])) for one in each.values()) for name in names}
        asked: Document = {"asked": self.asked, "unfound": len(self.unfound)}
        return {
            **sums,
            "waiting": self.waiting,
            **asked,
            "damage": [*self.damage],
            "spaces": {**each},
        }


def difference(task: Task, *, sample: int) -> Difference:
    """Compares every chunk, and asks for the vectors of ``sample`` of them.

    Raises:
        Unavailable: SQL or the vector server does not answer.
    """
    found = Difference({kind: SpaceDifference() for kind in SPACE_KINDS})
    # The index is read first: an id that is there and afterwards not in SQL was deleted; the
    # other way round it might as well be new.
    held = {kind: _held(task, kind, found) for kind in SPACE_KINDS}
    chosen = _Reservoir(sample)
    for done, part in enumerate(parts(task.source.chunks(), BATCH), start=1):
        for chunk in part:
            _compare(chunk, held, found, chosen)
        task.progress("reading", done * BATCH)
    for kind, rest in held.items():
        found.spaces[kind].orphans = list(rest)
    found.sample = chosen.kept
    for one in found.spaces.values():
        _set_waiting_aside(task, one, found)
    if not found.damage:
        found.unfound = unfound(task, found.sample, found)
    return found


def mend(task: Task, found: Difference) -> tuple[int, int]:
    """Makes the index equal to SQL where it differs, and puts what was not found again.

    Returns:
        How many vectors were upserted and how many ids deleted.
    """
    deleted = 0
    for kind, one in found.spaces.items():
        if one.orphans:
            task.index.delete(task.space(kind), one.orphans)
            deleted += len(one.orphans)
    wanted = [chunk for one in found.spaces.values() for chunk in (*one.missing, *one.stale)]
    return put(task, [*wanted, *found.unfound], "mending"), deleted


def put(task: Task, chunks: Iterable[SourceChunk], step: str) -> int:
    """Upserts the vectors of chunks; returns of how many there was one."""
    done = 0
    for part in parts(chunks, BATCH):
        vectors = task.vectors(part)
        for kind in SPACE_KINDS:
            items = [
                VectorItem(chunk.id, chunk.record_id, chunk.content_hash, vector)
                for chunk in part
                if space_kind(chunk.kind) == kind
                and (vector := vectors.get(chunk.content_hash)) is not None
            ]
            if items:
                task.index.upsert(task.space(kind), items)
                done += len(items)
        task.progress(step, done)
    return done


def unfound(task: Task, chunks: Sequence[SourceChunk], into: Difference) -> list[SourceChunk]:
    """Asks for the nearest to each chunk's own vector; returns those that are not among them.

    Adds to ``into`` how many were asked for, and the damage that the server reports.
    """
    lost: list[SourceChunk] = []
    for part in parts(chunks, BATCH):
        vectors = task.vectors(part)
        for chunk in part:
            vector = vectors.get(chunk.content_hash)
            if vector is None:
                continue
            try:
                near = task.index.nearest(task.space(space_kind(chunk.kind)), vector, _ASKED_FOR)
            except Corrupt as error:
                into.damage.append(error.detail)
                return lost
            into.asked += 1
            if not _is_among(chunk.id, near):
                lost.append(chunk)
        task.progress("asking", into.asked)
    return lost


def _is_among(id_: str, near: Sequence[tuple[str, float]]) -> bool:
    """Says whether a vector found itself, or so many equal ones that it need not be there."""
    same = [found for found, score in near if score >= _SAME]
    return id_ in same or len(same) == _ASKED_FOR


def _held(task: Task, kind: str, into: Difference) -> dict[str, str]:
    try:
        held = dict(task.index.hashes(task.space(kind)))
    except Corrupt as error:
        into.damage.append(error.detail)
        held = {}
    into.spaces[kind].held = len(held)
    return held


def _compare(
    chunk: SourceChunk,
    held: dict[str, dict[str, str]],
    found: Difference,
    chosen: _Reservoir,
) -> None:
    kind = space_kind(chunk.kind)
    space = found.spaces[kind]
    space.expected += 1
    content_hash = held[kind].pop(chunk.id, None)
    if content_hash is None:
        space.missing.append(chunk)
    elif content_hash != chunk.content_hash:
        space.stale.append(chunk)
    else:
        chosen.offer(chunk)


def _set_waiting_aside(task: Task, one: SpaceDifference, found: Difference) -> None:
    """Takes out what has no vector yet: it is no fault of the index that it lacks that.

    A vector of the chunk's former text is a fault, and goes.
    """
    has: set[str] = set()
    for part in parts([*one.missing, *one.stale], BATCH):
        has.update(task.vectors(part))
    waiting = [c for c in (*one.missing, *one.stale) if c.content_hash not in has]
    found.waiting += len(waiting)
    one.expected -= len(waiting)
    one.orphans += [c.id for c in one.stale if c.content_hash not in has]
    one.missing = [c for c in one.missing if c.content_hash in has]
    one.stale = [c for c in one.stale if c.content_hash in has]


class _Reservoir:
    """A uniform sample of a stream, without knowing its length (Vitter 1985, algorithm R)."""

    def __init__(self, size: int) -> None:
        self.kept: list[SourceChunk] = []
        self._size = size
        self._offered = 0
        self._random = random.Random()  # noqa: S311 - picks what to look at, hides nothing

    def offer(self, chunk: SourceChunk) -> None:
        """Takes note of one more."""
        self._offered += 1
        if len(self.kept) < self._size:
            self.kept.append(chunk)
        elif (place := self._random.randrange(self._offered)) < self._size:
            self.kept[place] = chunk
