"""Reads a project's rows into the columns of a view."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_core.local_index.schema import EMBEDDED
from memory_core.recall.building import ViewBuilder
from memory_core.recall.stored import Row, chunk_rows, unit_row, vector_rows
from memory_core.recall.vectors import VectorBlocks
from memory_core.sync.vectors import VectorBatch

_BATCH = 2_048

_UNITS = """
SELECT number, kind, id, session_id, position, role, tool, question, author, owner_id, created,
    quality, size, fingerprint
FROM units WHERE project = ? AND revision > ? AND alive ORDER BY number
"""
_GONE = "SELECT number FROM units WHERE project = ? AND revision > ? AND NOT alive"
_CHUNKS = """
SELECT number, unit, start, stop, length, terms, frequencies
FROM chunks WHERE project = ? AND revision > ? AND number > ? ORDER BY number
"""
_VECTORS = """
SELECT c.number, v.vector FROM chunks c JOIN vectors v ON v.number = c.vector
WHERE c.project = ? AND c.revision > ? AND c.state = ? ORDER BY c.number
"""
# Without statistics SQLite would rather walk all chunks of the project for each hash.
_VECTORS_OF = """
SELECT DISTINCT c.hash, v.vector FROM chunks c INDEXED BY chunks_by_hash
JOIN units u ON u.number = c.unit AND u.alive
JOIN vectors v ON v.number = c.vector AND v.model = ?
WHERE c.project = ? AND c.state = ? AND c.hash = ? AND (u.owner_id IS NULL OR u.owner_id IS ?)
"""


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """Where a project's rows stand: what a view is compared with."""

    number: int
    generation: int
    revision: int


@dataclass(frozen=True, slots=True)
class ModelRow:
    """The model whose vectors are used."""

    number: int
    name: str
    dimension: int


def read_project(connection: sqlite3.Connection, project_id: str) -> ProjectRow | None:
    """Returns where a project stands, None if it was never indexed."""
    row = connection.execute(
        "SELECT number, generation, revision FROM projects WHERE id = ?", (project_id,)
    ).fetchone()
    return None if row is None else ProjectRow(*row)


def read_model(connection: sqlite3.Connection) -> ModelRow | None:
    """Returns the model in use, None if there never was one."""
    row = connection.execute(
        "SELECT m.number, m.name, m.dimension FROM settings s JOIN models m ON m.number = s.value"
        " WHERE s.name = 'model'"
    ).fetchone()
    return None if row is None else ModelRow(*row)


def read_vectors(
    connection: sqlite3.Connection, project_id: str, hashes: Sequence[str], asker: str | None
) -> VectorBatch | None:
    """Returns the vectors of those texts of a project that ``asker`` may see and that have one.

    None if there is no model yet.
    """
    model, project = read_model(connection), read_project(connection, project_id)
    if model is None:
        return None
    found: list[tuple[str, bytes]] = []
    if project is not None:
        for hashed in dict.fromkeys(hashes):
            asked = (model.number, project.number, EMBEDDED, bytes.fromhex(hashed), asker)
            row = connection.execute(_VECTORS_OF, asked).fetchone()
            if row is not None:
                found.append((hashed, row[1]))
    vectors = vector_rows([blob for _, blob in found], model.dimension)
    rows = [(hashed, vector) for (hashed, _), vector in zip(found, vectors, strict=True)]
    return VectorBatch(model.name, model.dimension, rows)


def read_setting(connection: sqlite3.Connection, name: str) -> int | None:
    """Returns a setting of the index, None if it is not set."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def refresh(
    connection: sqlite3.Connection,
    builder: ViewBuilder,
    project: ProjectRow,
    *,
    after_revision: int,
    after_chunk: int,
) -> int:
    """Adds to ``builder`` what came after a revision; returns the last chunk's number."""
    at = (project.number, after_revision)
    if after_revision:
        builder.kill([number for (number,) in connection.execute(_GONE, at)])
    last_chunk = after_chunk
    for units, chunks in _batches(connection, at, after_chunk):
        builder.add([unit_row(row) for row in units], chunk_rows(chunks))
        last_chunk = chunks[-1][0]
    if builder.vectors is not None:
        for numbers, vectors in _vectors(connection, at, builder.vectors):
            builder.embed(numbers, vectors)
    return last_chunk


def _batches(
    connection: sqlite3.Connection, at: tuple[int, int], after_chunk: int
) -> Iterator[tuple[list[Row], list[Row]]]:
    """Yields some units at a time with all their chunks: a project need not fit in memory twice."""
    chunks = connection.execute(_CHUNKS, (*at, after_chunk))
    cursor = connection.execute(_UNITS, at)
    ahead = chunks.fetchone()
    while units := cursor.fetchmany(_BATCH):
        last = units[-1][0]
        mine = []
        while ahead is not None and ahead[1] <= last:
            mine.append(ahead)
            ahead = chunks.fetchone()
        yield units, mine


def _vectors(
    connection: sqlite3.Connection, at: tuple[int, int], blocks: VectorBlocks
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    cursor = connection.execute(_VECTORS, (*at, EMBEDDED))
    while rows := cursor.fetchmany(_BATCH):
        vectors = vector_rows([blob for _, blob in rows], blocks.dimension)
        yield [number for number, _ in rows], vectors
