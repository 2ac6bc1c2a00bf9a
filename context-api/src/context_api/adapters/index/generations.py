"""Generations: which chunks have a vector of which model, built one beside the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString, NamedTuple

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
SELECT hash, model, dimension FROM chunk_vectors WHERE tenant_id = %s AND hash = ANY(%s::bytea[])
ORDER BY hash, model FOR KEY SHARE
"""
_DEAD: LiteralString = """
SELECT hash, model FROM index_dead WHERE tenant_id = %s AND project_id = %s AND model <> ''
"""
_ALL: LiteralString = """
SELECT c.number, c.unit, u.kind, c.hash, u.seq FROM index_units u
JOIN chunks c ON c.tenant_id = u.tenant_id AND c.project_id = u.project_id AND c.unit = u.number
WHERE u.tenant_id = %s AND u.project_id = %s AND u.alive ORDER BY c.number
"""
_INSERT: LiteralString = """
INSERT INTO chunk_states (tenant_id, project_id, generation, revision, number, unit, kind, hash,
    seq, state)
SELECT %s, %s, %s, %s, * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bytea[],
    %s::bigint[], %s::smallint[])
"""


class Seed(NamedTuple):
    """A chunk that is to have a vector in every generation."""

    number: int
    unit: int
    kind: str
    hashed: bytes
    seq: int


def seed(locked: Locked, chunks: Sequence[Seed], of: Sequence[Generation]) -> None:
    """Lets chunks wait for their vectors of some generations unless these are known."""
    if not chunks or not of:
        return
    run = locked.connection.execute
    hashes = sorted({chunk.hashed for chunk in chunks})
    known = {(row[0], Model(row[1], row[2])) for row in run(_KNOWN, (locked.tenant_id, hashes))}
    dead = set(run(_DEAD, locked.key).fetchall()) if locked.has_dead else set()
    for generation in of:
        model = generation.model
        states = [
            EMBEDDED if (chunk.hashed, model) in known
            else DEAD if (chunk.hashed, model.name) in dead
            else WAITING
            for chunk in chunks
        ]  # fmt: skip
        number, unit, kind, hashed, seq = (list(column) for column in zip(*chunks, strict=True))
        spaces = ["session" if one == "message" else one for one in kind]
        run(
            _INSERT,
            (*locked.key, generation.number, locked.revision, number, unit, spaces, hashed, seq,
             states),
            binary=True,
        )  # fmt: skip


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
    rows = locked.connection.execute(_ALL, locked.key, binary=True)
    seed(locked, [Seed(*row) for row in rows], [made])
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
