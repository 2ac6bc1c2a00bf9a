"""Generations: which chunks have a vector of which model, built one beside the other."""

from __future__ import annotations

from typing import LiteralString

from context_api.adapters.index.state import (
    DEAD,
    EMBEDDED,
    WAITING,
    Generation,
    Locked,
    Model,
    read_generations,
)

# Locks the vectors that it finds, so that they are not deleted as unused before this commits.
_KNOWN: LiteralString = """
SELECT v.hash, v.model, v.dimension FROM chunk_vectors v
WHERE v.tenant_id = %(tenant)s AND v.hash = ANY (ARRAY(
    SELECT c.hash FROM chunks c WHERE c.tenant_id = %(tenant)s AND c.project_id = %(project)s
    AND c.unit > %(unit)s))
ORDER BY v.hash, v.model FOR KEY SHARE
"""
_SEED: LiteralString = """
INSERT INTO chunk_states (tenant_id, project_id, generation, number, unit, kind, hash, seq, state,
    revision)
SELECT c.tenant_id, c.project_id, %(generation)s, c.number, c.unit,
    CASE u.kind WHEN 'message' THEN 'session' ELSE u.kind END, c.hash, u.seq,
    CASE WHEN known.hash IS NOT NULL THEN %(embedded)s
        WHEN EXISTS (SELECT 1 FROM index_dead d WHERE d.tenant_id = c.tenant_id
            AND d.project_id = c.project_id AND d.model = %(model)s AND d.hash = c.hash)
        THEN %(dead)s ELSE %(waiting)s END,
    %(revision)s
FROM chunks c
JOIN index_units u ON u.tenant_id = c.tenant_id AND u.project_id = c.project_id
    AND u.number = c.unit
LEFT JOIN unnest(%(known)s::bytea[]) AS known (hash) ON known.hash = c.hash
WHERE c.tenant_id = %(tenant)s AND c.project_id = %(project)s AND c.unit > %(unit)s
"""


def seed(locked: Locked, *, after_unit: int, only: Generation | None = None) -> None:
    """Lets chunks of records after ``after_unit`` wait for their vectors unless these are known."""
    of = [only] if only is not None else read_generations(locked)
    if not of:
        return
    named = {"tenant": locked.tenant_id, "project": locked.project_id, "unit": after_unit}
    known = locked.connection.execute(_KNOWN, named).fetchall()
    for generation in of:
        model = generation.model
        hashes = [row[0] for row in known if Model(row[1], row[2]) == model]
        locked.connection.execute(
            _SEED,
            {
                **named,
                "generation": generation.number,
                "model": model.name,
                "known": hashes,
                "revision": locked.revision,
                "embedded": EMBEDDED,
                "dead": DEAD,
                "waiting": WAITING,
            },
        )


def ensure(locked: Locked, model: Model) -> Generation:
    """Returns the generation of a model, begun if there is none.

    The first of a project is asked from the start, a later one when it is complete.
    """
    there = read_generations(locked)
    for generation in there:
        if generation.model == model:
            return generation
    made = Generation(locked.last_generation + 1, model, ready=not there, pushed=0)
    locked.connection.execute(
        "INSERT INTO index_generations (tenant_id, project_id, generation, model, dimension, ready)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (*locked.key, made.number, *model, made.ready),
    )
    locked.connection.execute(
        "UPDATE index_state SET last_generation = %s WHERE tenant_id = %s AND project_id = %s",
        (made.number, *locked.key),
    )
    seed(locked, after_unit=0, only=made)
    return made


def count(locked: Locked, generation: Generation, state: int) -> int:
    """Returns how many chunks of a generation are in a state."""
    row = locked.connection.execute(
        "SELECT count(*) FROM chunk_states WHERE tenant_id = %s AND project_id = %s"
        " AND generation = %s AND state = %s",
        (*locked.key, generation.number, state),
    ).fetchone()
    return int(row[0]) if row else 0


def drop(locked: Locked, generation: Generation) -> None:
    """Removes a generation; its vectors go with the next purge."""
    for table in ("chunk_states", "index_generations"):
        locked.connection.execute(
            f"DELETE FROM {table} WHERE tenant_id = %s AND project_id = %s"  # noqa: S608 (ours)
            " AND generation = %s",
            (*locked.key, generation.number),
        )
