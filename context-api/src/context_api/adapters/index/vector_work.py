"""Vectors as the holder of a claim stores them: by content hash, each text once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import numpy as np
from numpy.typing import NDArray

from context_api.adapters.index import generations
from context_api.adapters.index.state import (
    DEAD,
    EMBEDDED,
    WAITING,
    Generation,
    Locked,
    Model,
    lock_for,
    next_revision,
    read_generations,
    tell,
)
from context_api.adapters.index.store import SqlIndexes
from context_api.adapters.index.writing import note_dead
from context_api.application.index_work import Claim, WaitingChunk
from memory_core.errors import InvalidInput
from memory_core.records import Kind, Ref

# The texts that wait longest come first; what of them is looked at is bounded.
_WAITING: LiteralString = """
SELECT DISTINCT ON (w.hash) w.hash, u.kind, u.id::text, EXISTS (
    SELECT 1 FROM chunk_vectors v WHERE v.tenant_id = w.tenant_id AND v.hash = w.hash
    AND v.model = %s AND v.dimension = %s)
FROM (
    SELECT s.tenant_id, s.project_id, s.unit, s.hash FROM chunk_states s
    JOIN index_generations g ON g.tenant_id = s.tenant_id AND g.project_id = s.project_id
        AND g.generation = s.generation AND g.model = %s AND g.dimension = %s
    WHERE s.tenant_id = %s AND s.project_id = %s AND s.state = 0
    ORDER BY s.seq LIMIT %s
) w
JOIN index_units u ON u.tenant_id = w.tenant_id AND u.project_id = w.project_id
    AND u.number = w.unit AND u.alive
ORDER BY w.hash, w.unit
"""
# Locked, so that they are not deleted as unused before the chunks that use them are marked.
_KNOWN: LiteralString = """
SELECT hash FROM chunk_vectors WHERE tenant_id = %s AND model = %s AND dimension = %s
AND hash = ANY(%s::bytea[]) ORDER BY hash FOR KEY SHARE
"""
_STORE: LiteralString = """
INSERT INTO chunk_vectors (tenant_id, model, dimension, hash, vector)
SELECT %s, %s, %s, given.hash, given.vector
FROM unnest(%s::bytea[], %s::bytea[]) AS given (hash, vector)
WHERE EXISTS (SELECT 1 FROM chunks c WHERE c.tenant_id = %s AND c.hash = given.hash)
ORDER BY given.hash
ON CONFLICT DO NOTHING
"""
_MARK: LiteralString = """
UPDATE chunk_states SET state = %s, revision = %s
WHERE tenant_id = %s AND project_id = %s AND generation = %s AND state = 0
AND hash = ANY(%s::bytea[])
"""
# What failed may succeed with a mended embedder; a text that cannot be embedded fails again.
_REVIVE: LiteralString = """
UPDATE chunk_states s SET state = %s, revision = %s FROM index_dead d
WHERE s.tenant_id = %s AND s.project_id = %s AND s.generation = %s AND s.state = 2
AND d.tenant_id = s.tenant_id AND d.project_id = s.project_id AND d.model = %s
AND d.hash = s.hash AND d.at < now() - interval '1 day'
"""
_POSTPONE: LiteralString = """
UPDATE index_dead SET at = now() WHERE tenant_id = %s AND project_id = %s AND model = %s
AND at < now() - interval '1 day'
"""
_UNUSED: LiteralString = """
SELECT generation FROM index_generations
WHERE tenant_id = %s AND project_id = %s AND used_at < now() - interval '1 day'
"""


class SqlVectorWork:
    """The work on vectors of the model in use, every write behind the claim's fence."""

    def __init__(self, indexes: SqlIndexes) -> None:
        self._indexes = indexes
        self._database = indexes.database
        self._model = indexes.model

    def prepare(self, claim: Claim) -> None:
        """Begins the generation of the model in use if there is none, and revives old dead ones.

        Raises:
            LeaseLost: another worker has taken the project over.
            Busy, Unavailable, StorageFull: the database cannot be written now.
        """
        model = self._model.current
        if model is None:
            return
        with self._database.transaction(claim.tenant_id) as connection:
            locked = next_revision(lock_for(connection, claim))
            generation = generations.ensure(locked, model)
            connection.execute(
                _REVIVE,
                (WAITING, locked.revision, *locked.key, generation.number, model.name),
            )
            connection.execute(_POSTPONE, (*locked.key, model.name))
            connection.execute(
                "UPDATE index_generations SET used_at = now() WHERE tenant_id = %s"
                " AND project_id = %s AND generation = %s AND used_at < now() - interval '1 hour'",
                (*locked.key, generation.number),
            )

    def waiting(self, claim: Claim, limit: int) -> list[WaitingChunk]:
        """Returns chunks that wait for a vector of the model in use, each text once.

        What another project has had embedded meanwhile is taken from there.

        Raises:
            LeaseLost: another worker has taken the project over.
            Busy, Unavailable: the database does not answer.
        """
        model = self._model.current
        if model is None:
            return []
        key = (claim.tenant_id, claim.project_id)
        while True:
            rows = self._database.ask(claim.tenant_id, _WAITING, (*model, *model, *key, limit))
            known = [bytes(row[0]) for row in rows if row[3]]
            if known:
                self._take(claim, model, known)
            left = [row for row in rows if not row[3]]
            if left or not rows:
                return [
                    WaitingChunk(bytes(row[0]).hex(), Ref(Kind(row[1]), row[2])) for row in left
                ]

    def put_vectors(self, claim: Claim, vectors: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        """Stores vectors of the model in use by content hash; those whose text is gone are dropped.

        A vector that is already there stays.

        Raises:
            InvalidInput: a vector is not finite, or has not the model's dimension.
            LeaseLost: another worker has taken the project over.
            Busy, Unavailable, StorageFull: the database cannot be written now.
        """
        model = self._model.required
        given = sorted(
            (bytes.fromhex(hashed), _stored(vector, model)) for hashed, vector in vectors
        )
        if not given:
            return
        hashes = [hashed for hashed, _ in given]
        blobs = [blob for _, blob in given]
        with self._database.transaction(claim.tenant_id) as connection:
            locked = next_revision(lock_for(connection, claim))
            generation = generations.ensure(locked, model)
            tenant_id = claim.tenant_id
            connection.execute(_STORE, (tenant_id, *model, hashes, blobs, tenant_id), binary=True)
            self._mark(locked, generation, EMBEDDED, hashes)

    def mark_dead(self, claim: Claim, chunk: WaitingChunk, reason: str) -> None:
        """Gives up on a text that cannot be embedded, for a day; its words are still found.

        Raises:
            LeaseLost: another worker has taken the project over.
            Busy, Unavailable, StorageFull: the database cannot be written now.
        """
        model, hashed = self._model.required, bytes.fromhex(chunk.content_hash)
        with self._database.transaction(claim.tenant_id) as connection:
            locked = next_revision(lock_for(connection, claim))
            note_dead(locked, model.name, hashed, chunk.ref, reason)
            self._mark(locked, generations.ensure(locked, model), DEAD, [hashed])

    def finish(self, claim: Claim) -> bool:
        """Switches to the generation of the model in use if it is complete; says if it did.

        Generations that no worker has used for a day are dropped.

        Raises:
            LeaseLost: another worker has taken the project over.
            Busy, Unavailable, StorageFull: the database cannot be written now.
        """
        model = self._model.current
        if model is None:
            return False
        with self._database.transaction(claim.tenant_id) as connection:
            locked = lock_for(connection, claim)
            generation = generations.ensure(locked, model)
            switched = not generation.ready and not generations.count(locked, generation, WAITING)
            if switched:
                connection.execute(
                    "UPDATE index_generations SET ready = true WHERE tenant_id = %s"
                    " AND project_id = %s AND generation = %s",
                    (*locked.key, generation.number),
                )
                tell(locked)
            if generation.ready or switched:
                unused = {row[0] for row in connection.execute(_UNUSED, locked.key)}
                for other in read_generations(locked):
                    if other.model != model and other.number in unused:
                        generations.drop(locked, other)
        return switched

    def purge(self, tenant_id: str) -> int:
        """Deletes vectors of a tenant that nothing needs; returns how many texts'."""
        return self._indexes.purge(tenant_id)

    def _take(self, claim: Claim, model: Model, hashes: Sequence[bytes]) -> None:
        """Marks chunks whose vector is stored already."""
        with self._database.transaction(claim.tenant_id) as connection:
            locked = next_revision(lock_for(connection, claim))
            rows = connection.execute(_KNOWN, (claim.tenant_id, *model, list(hashes))).fetchall()
            generation = generations.ensure(locked, model)
            self._mark(locked, generation, EMBEDDED, [row[0] for row in rows])

    def _mark(
        self, locked: Locked, generation: Generation, state: int, hashes: Sequence[bytes]
    ) -> None:
        locked.connection.execute(
            _MARK, (state, locked.revision, *locked.key, generation.number, list(hashes))
        )


def _stored(vector: NDArray[np.float32], model: Model) -> bytes:
    row = np.asarray(vector, dtype="<f4")
    if row.shape != (model.dimension,):
        raise InvalidInput(f"a vector of {model.name} has {model.dimension} dimensions")
    if not np.isfinite(row).all():
        raise InvalidInput("a vector holds numbers that are not finite")
    return row.tobytes()
