"""Reads a project's rows into the columns of a view."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_core.local_index.schema import EMBEDDED
from memory_core.recall.building import ChunkRows, UnitRow, ViewBuilder
from memory_core.recall.vectors import VectorBlocks

_BATCH = 4_096

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
    units = [_unit(row) for row in connection.execute(_UNITS, at)]
    rows = connection.execute(_CHUNKS, (*at, after_chunk)).fetchall()
    builder.add(units, _chunk_rows(rows))
    if builder.vectors is not None:
        for numbers, vectors in _vectors(connection, at, builder.vectors):
            builder.embed(numbers, vectors)
    return int(rows[-1][0]) if rows else after_chunk


def _unit(row: Sequence[object]) -> UnitRow:
    (number, kind, identity, session_id, position, role, tool, question, author, owner_id,
     created, quality, size, signed) = row  # fmt: skip
    return UnitRow(
        number=int(str(number)),
        kind=str(kind),
        id=str(identity),
        session_id=None if session_id is None else str(session_id),
        position=int(str(position)),
        role=str(role),
        tool=bool(tool),
        question=bool(question),
        author=str(author),
        owner_id=None if owner_id is None else str(owner_id),
        created=float(str(created)),
        quality=float(str(quality)),
        size=int(str(size)),
        fingerprint=int(str(signed)) % (1 << 64),
    )


def _chunk_rows(rows: Sequence[tuple[int, int, int, int, int, bytes, bytes]]) -> ChunkRows:
    columns = tuple(zip(*rows, strict=True)) if rows else ((), (), (), (), (), (), ())
    number, unit, start, end, length, terms, frequencies = columns
    return ChunkRows(
        number=number,
        unit=unit,
        start=start,
        end=end,
        length=length,
        distinct=np.array([len(blob) // 8 for blob in terms], dtype=np.int64),
        terms=np.frombuffer(b"".join(terms), dtype="<u8").astype(np.uint64, copy=False),
        frequencies=np.frombuffer(b"".join(frequencies), dtype="<u2").astype(np.uint16, copy=False),
    )


def _vectors(
    connection: sqlite3.Connection, at: tuple[int, int], blocks: VectorBlocks
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    cursor = connection.execute(_VECTORS, (*at, EMBEDDED))
    while rows := cursor.fetchmany(_BATCH):
        joined = np.frombuffer(b"".join(blob for _, blob in rows), dtype="<f4")
        vectors = joined.reshape(len(rows), blocks.dimension).astype(np.float32, copy=False)
        yield [number for number, _ in rows], vectors
