"""Reads a project's rows into the columns of a view, what is new first to last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString, NamedTuple

from psycopg import Connection

from context_api.adapters.index.database import Row
from context_api.adapters.index.state import EMBEDDED, Model
from memory_core.recall.building import ViewBuilder
from memory_core.recall.stored import chunk_rows, unit_row, vector_rows

_BATCH = 5_000

# The generation of the model asked for; one that is built beside another is not there yet.
STANDING: LiteralString = """
SELECT s.changes, s.revision, s.floor, coalesce(g.generation, 0), coalesce(g.pushed, 0)
FROM index_state s LEFT JOIN index_generations g ON g.tenant_id = s.tenant_id
    AND g.project_id = s.project_id AND g.model = %s AND g.dimension = %s AND g.ready
WHERE s.tenant_id = %s AND s.project_id = %s
"""
_UNITS: LiteralString = """
SELECT number, kind, id::text, session_id::text, position, role, tool, question, author, owner_id,
    created, quality, size, fingerprint
FROM index_units WHERE tenant_id = %s AND project_id = %s AND number > %s AND alive
ORDER BY number LIMIT %s
"""
_GONE: LiteralString = """
SELECT number FROM index_units
WHERE tenant_id = %s AND project_id = %s AND revision > %s AND NOT alive
"""
_CHUNKS: LiteralString = """
SELECT number, unit, start, stop, length, terms, frequencies FROM chunks
WHERE tenant_id = %s AND project_id = %s AND unit > %s AND unit <= %s ORDER BY unit, number
"""
_EMBEDDED: LiteralString = """
SELECT number FROM chunk_states WHERE tenant_id = %s AND project_id = %s AND generation = %s
AND revision > %s AND revision <= %s AND state = %s
"""
# One look-up for each vector, whatever the database takes the tables to hold.
_FIRST_VECTORS: LiteralString = """
SELECT s.number, v.vector FROM (
    SELECT number, hash FROM chunk_states
    WHERE tenant_id = %s AND project_id = %s AND generation = %s
    AND revision <= %s AND state = %s AND number > %s
    ORDER BY number LIMIT %s
) s, LATERAL (SELECT vector FROM chunk_vectors
    WHERE tenant_id = %s AND hash = s.hash AND model = %s AND dimension = %s LIMIT 1) v
"""
# By revision alone: ordered by number, it would be looked for among all chunks.
_NEW_VECTORS: LiteralString = """
SELECT s.number, v.vector FROM (
    SELECT number, hash FROM chunk_states
    WHERE tenant_id = %s AND project_id = %s AND generation = %s
    AND revision > %s AND revision <= %s AND state = %s
) s, LATERAL (SELECT vector FROM chunk_vectors
    WHERE tenant_id = %s AND hash = s.hash AND model = %s AND dimension = %s LIMIT 1) v
"""


class Standing(NamedTuple):
    """Where a project's rows stand: what a view is compared with.

    ``changes`` counts all that was done to the project. A view that has read less than
    ``floor`` misses what was deleted without a trace. ``generation`` is 0 if there is none to
    ask; its vectors up to ``pushed`` are in the vector server.
    """

    changes: int = 0
    revision: int = 0
    floor: int = 0
    generation: int = 0
    pushed: int = 0


class Project(NamedTuple):
    """Whose rows are read, in a transaction that sees one moment."""

    connection: Connection[Row]
    tenant_id: str
    project_id: str

    @property
    def key(self) -> tuple[str, str]:
        """What every row of the project begins with."""
        return (self.tenant_id, self.project_id)


def standing_parameters(
    tenant_id: str, project_id: str, model: Model | None
) -> tuple[str, int, str, str]:
    """Returns the parameters of `STANDING`."""
    name, dimension = model or ("", 0)
    return (name, dimension, tenant_id, project_id)


def read_words(
    project: Project, builder: ViewBuilder, *, after_revision: int, after_unit: int
) -> int:
    """Adds records and drops those that are gone; returns the last record's number."""
    if after_revision:
        rows = project.connection.execute(_GONE, (*project.key, after_revision))
        builder.kill([number for (number,) in rows])
    last = after_unit
    while True:
        units = project.connection.execute(_UNITS, (*project.key, last, _BATCH)).fetchall()
        if not units:
            return last
        bounds = (last, int(units[-1][0]))
        chunks = project.connection.execute(_CHUNKS, (*project.key, *bounds), binary=True)
        builder.add([unit_row(row) for row in units], chunk_rows(chunks.fetchall()))
        last = int(units[-1][0])
        if len(units) < _BATCH:
            return last


def read_vectors(
    project: Project, builder: ViewBuilder, model: Model, span: tuple[int, int, int]
) -> None:
    """Adds vectors of a ``span``: generation, after one revision, up to another."""
    for rows in _pages(project, model, span):
        builder.embed(
            [number for number, _ in rows],
            vector_rows([blob for _, blob in rows], model.dimension),
        )


def read_embedded(project: Project, builder: ViewBuilder, span: tuple[int, int, int]) -> None:
    """Notes which chunks of a ``span`` have a vector in the vector server."""
    rows = project.connection.execute(_EMBEDDED, (*project.key, *span, EMBEDDED))
    builder.mark_embedded(sorted(number for (number,) in rows))


def _pages(project: Project, model: Model, span: tuple[int, int, int]) -> Iterator[list[Row]]:
    generation, after, upto = span
    run, of = project.connection.execute, (project.tenant_id, *model)
    if after:
        rows = run(_NEW_VECTORS, (*project.key, *span, EMBEDDED, *of), binary=True).fetchall()
        if rows:
            yield sorted(rows)
        return
    last = 0
    while True:
        page = (*project.key, generation, upto, EMBEDDED, last, _BATCH)
        rows = run(_FIRST_VECTORS, (*page, *of), binary=True).fetchall()
        if rows:
            yield sorted(rows)
            last = max(row[0] for row in rows)
        if len(rows) < _BATCH:
            return
