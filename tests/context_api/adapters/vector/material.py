"""Vectors with known neighbours, and SQL's side of an index as lists in memory."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from context_api.application.index_care_source import Generation, SourceChunk, space_kind
from context_api.application.vectors import Space, VectorIndex, VectorItem
from memory_core.errors import Conflict
from memory_core.ids import uuid7

DIMENSION = 32
MODEL = "test/Model: ä 1.0"

T = TypeVar("T")


def vector(text: str, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Returns the unit vector of a text: others are nearly orthogonal to it."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    found = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    unit: NDArray[np.float32] = found / np.float32(np.linalg.norm(found))
    return unit


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def item(id_: str, text: str) -> VectorItem:
    return VectorItem(id_, uuid7(), hash_of(text), vector(text))


def space(kind: str = "session", **fields: object) -> Space:
    values: dict[str, object] = {
        "tenant_id": uuid7(),
        "project_id": uuid7(),
        "kind": kind,
        "model": MODEL,
        "dimension": DIMENSION,
        "generation": 1,
    }
    return Space(**{**values, **fields})  # type: ignore[arg-type]


def until(holds: Callable[[], T], what: str, seconds: float = 20.0) -> T:
    """Returns what ``holds`` returns once it is true; fails after ``seconds``."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return found


class ListSource:
    """One project's chunks and vectors. Threads may share it."""

    def __init__(self) -> None:
        self.tenant_id = uuid7()
        self.project_id = uuid7()
        self.current = Generation(1, MODEL, DIMENSION)
        self.rows: dict[str, SourceChunk] = {}
        self.embedded: dict[tuple[str, str], NDArray[np.float32]] = {}
        self.lock = threading.RLock()
        self.noted: set[tuple[str, str, str]] = set()
        self.on_vectors: Callable[[], None] = lambda: None

    def add(
        self, id_: str, text: str, kind: str = "message", *, models: Sequence[str] = (MODEL,)
    ) -> None:
        """Adds or replaces a chunk, and its text's vectors by the models."""
        with self.lock:
            self.rows[id_] = SourceChunk(id_, uuid7(), hash_of(text), kind)
            for model in models:
                seed = text if model == MODEL else f"{model} {text}"
                self.embedded[model, hash_of(text)] = vector(seed)

    def fill(self, count: int) -> None:
        """Adds chunks of all kinds."""
        kinds = ("session", "message", "checkpoint", "pattern")
        for number in range(count):
            self.add(str(number), f"text {number}", kinds[number % len(kinds)])

    def generation(self) -> Generation:
        return self.current

    def chunks(self) -> Iterator[SourceChunk]:
        with self.lock:
            return iter(list(self.rows.values()))

    def some(self, count: int) -> list[SourceChunk]:
        there = [row for row in self.chunks() if (MODEL, row.content_hash) in self.embedded]
        return random.sample(there, min(count, len(there)))

    def retry_dead(self) -> int:
        return 0

    def unused_number(self) -> int:
        return self.current.number + 1

    def vectors(
        self, generation: Generation, hashes: Sequence[str]
    ) -> Mapping[str, NDArray[np.float32]]:
        self.on_vectors()
        model = generation.model
        with self.lock:
            return {h: self.embedded[model, h] for h in hashes if (model, h) in self.embedded}

    def paused(self) -> AbstractContextManager[bool]:
        return self.lock

    def note_equal(self, generation: Generation) -> None:
        assert generation == self.current
        self.noted = self.wanted()

    def switch(self, expected: Generation, to: Generation) -> None:
        with self.lock:
            if self.current != expected:
                raise Conflict("another was first")
            self.current = to

    def held(self, index: VectorIndex) -> set[tuple[str, str, str]]:
        """Returns kind, id and hash of all that the current generation holds."""
        kinds = ("session", "checkpoint", "pattern")
        return {
            (kind, *one) for kind in kinds for one in index.hashes(self.current.space(self, kind))
        }

    def wanted(self) -> set[tuple[str, str, str]]:
        """Returns kind, id and hash of all that it should hold."""
        return {
            (space_kind(row.kind), row.id, row.content_hash)
            for row in self.rows.values()
            if (self.current.model, row.content_hash) in self.embedded
        }
