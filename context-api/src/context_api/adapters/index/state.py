"""A project's row of state, and its generations: what every writer locks before it writes."""

from __future__ import annotations

from typing import LiteralString, NamedTuple

from psycopg import Connection

from context_api.adapters.index.database import Row
from context_api.application.index_work import Claim, LeaseLost
from memory_core.errors import Unavailable
from memory_core.recall.stored import FORMAT

WAITING, EMBEDDED, DEAD, GONE = 0, 1, 2, 3
"""The states of a chunk in a generation. Gone ones are kept until the vector server knows."""

_BEGIN: LiteralString = """
INSERT INTO index_state (tenant_id, project_id, format) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
_LOCK: LiteralString = """
SELECT format, applied_seq, revision, last_unit, last_chunk, last_generation,
    EXISTS (SELECT 1 FROM index_dead d WHERE d.tenant_id = s.tenant_id
        AND d.project_id = s.project_id)
FROM index_state s WHERE tenant_id = %s AND project_id = %s FOR UPDATE OF s
"""
_GENERATIONS: LiteralString = """
SELECT generation, model, dimension, ready, pushed FROM index_generations
WHERE tenant_id = %s AND project_id = %s ORDER BY generation
"""


class Model(NamedTuple):
    """An embedding model: vectors of two of them are never compared."""

    name: str
    dimension: int


class Generation(NamedTuple):
    """One model's vectors of a project. What is not ``ready`` is built beside and not asked."""

    number: int
    model: Model
    ready: bool
    pushed: int


class Locked(NamedTuple):
    """A project whose row is locked until the transaction ends: its only writer."""

    connection: Connection[Row]
    tenant_id: str
    project_id: str
    applied_seq: int
    revision: int
    last_unit: int
    last_chunk: int
    last_generation: int
    has_dead: bool

    @property
    def key(self) -> tuple[str, str]:
        """What every row of the project begins with."""
        return (self.tenant_id, self.project_id)


def lock(connection: Connection[Row], tenant_id: str, project_id: str) -> Locked:
    """Locks a project, which is made if it is new, and emptied if it is of an older release.

    Raises:
        Unavailable: a newer release has built the index.
    """
    key = (tenant_id, project_id)
    row = connection.execute(_LOCK, key).fetchone()
    if row is None:
        connection.execute(_BEGIN, (*key, FORMAT))
        return lock(connection, tenant_id, project_id)
    found = int(row[0])
    if found > FORMAT:
        raise Unavailable("the index was built by a newer release than this one")
    locked = Locked(connection, tenant_id, project_id, *row[1:])
    return locked if found == FORMAT else clear(locked)


def lock_for(connection: Connection[Row], claim: Claim) -> Locked:
    """Locks a project for the holder of a claim.

    Raises:
        LeaseLost: another worker has taken it over.
    """
    locked = lock(connection, claim.tenant_id, claim.project_id)
    held = connection.execute(
        "SELECT 1 FROM index_state WHERE tenant_id = %s AND project_id = %s"
        " AND fence = %s AND lease_owner = %s",
        (*locked.key, claim.fence, claim.worker_id),
    ).fetchone()
    if held is None:
        raise LeaseLost("another worker has taken the project over")
    return locked


def clear(locked: Locked) -> Locked:
    """Empties a project and puts its progress to 0; vectors stay for the texts that return.

    Numbers are never given twice, so what was said about the old ones is not taken for new.
    """
    run, key = locked.connection.execute, locked.key
    run("DELETE FROM chunk_states WHERE tenant_id = %s AND project_id = %s", key)
    run("DELETE FROM chunks WHERE tenant_id = %s AND project_id = %s", key)
    run("DELETE FROM index_units WHERE tenant_id = %s AND project_id = %s", key)
    run("DELETE FROM index_dead WHERE tenant_id = %s AND project_id = %s", key)
    last = locked.last_generation
    for generation in read_generations(locked):
        last += 1
        # Under a new number, the vector server's old space is one that nobody asks.
        run(
            "UPDATE index_generations SET generation = %s, pushed = 0, audited_at = NULL"
            " WHERE tenant_id = %s AND project_id = %s AND generation = %s",
            (last, *key, generation.number),
        )
    revision = locked.revision + 1
    run(
        "UPDATE index_state SET applied_seq = 0, format = %s, revision = %s, floor = %s,"
        " changes = changes + 1, last_generation = %s WHERE tenant_id = %s AND project_id = %s",
        (FORMAT, revision, revision, last, *key),
    )
    return locked._replace(applied_seq=0, revision=revision, last_generation=last)


def read_generations(locked: Locked) -> list[Generation]:
    """Returns a project's generations, the oldest first."""
    rows = locked.connection.execute(_GENERATIONS, locked.key).fetchall()
    return [Generation(row[0], Model(row[1], row[2]), row[3], row[4]) for row in rows]


def next_revision(locked: Locked) -> Locked:
    """Gives the rows that are now written a revision above all that any view has read."""
    locked.connection.execute(
        "UPDATE index_state SET revision = %s, changes = changes + 1"
        " WHERE tenant_id = %s AND project_id = %s",
        (locked.revision + 1, *locked.key),
    )
    return locked._replace(revision=locked.revision + 1)


def tell(locked: Locked) -> None:
    """Lets views and counts look again, though no row that they read is new."""
    locked.connection.execute(
        "UPDATE index_state SET changes = changes + 1 WHERE tenant_id = %s AND project_id = %s",
        locked.key,
    )
