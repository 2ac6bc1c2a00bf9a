"""The indexes of every tenant in PostgreSQL: `IndexStores` for a hub of several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import LiteralString

import numpy as np
from numpy.typing import NDArray

from context_api.adapters.index import generations
from context_api.adapters.index.database import STEP_S, Database, Pool, retried
from context_api.adapters.index.models import ModelInUse
from context_api.adapters.index.nearest import nearest_similarities
from context_api.adapters.index.progress import ProgressCounter
from context_api.adapters.index.state import Model, clear, lock, read_generations
from context_api.adapters.index.views import Views
from context_api.adapters.index.writing import Batch, forget_unused, prepare_batch, write
from context_api.application.vectors import VectorIndex
from memory_core.errors import InvalidInput, Unavailable
from memory_core.recall.dense import exact_similarities
from memory_core.recall.ports import IndexRecord, Progress
from memory_core.recall.stored import vector_rows
from memory_core.recall.view import ProjectView
from memory_core.records import Ref
from memory_core.sync.vectors import VectorBatch

# What is being indexed anew will soon need the vectors that now seem needless.
_BEHIND: LiteralString = """
SELECT 1 FROM projects p LEFT JOIN index_state s ON s.tenant_id = p.tenant_id
    AND s.project_id = p.id
WHERE p.tenant_id = %s AND p.head > coalesce(s.applied_seq, 0) LIMIT 1
"""
_NEEDLESS: LiteralString = """
SELECT DISTINCT v.hash FROM chunk_vectors v WHERE v.tenant_id = %s
AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.tenant_id = v.tenant_id AND c.hash = v.hash)
"""
_OTHER_MODELS: LiteralString = """
DELETE FROM chunk_vectors v WHERE v.tenant_id = %s AND NOT EXISTS (
    SELECT 1 FROM index_generations g WHERE g.tenant_id = v.tenant_id AND g.model = v.model
    AND g.dimension = v.dimension)
"""
_VECTORS_OF: LiteralString = """
SELECT DISTINCT ON (c.hash) c.hash, v.vector FROM chunks c
JOIN index_units u ON u.tenant_id = c.tenant_id AND u.project_id = c.project_id
    AND u.number = c.unit AND u.alive
JOIN chunk_vectors v ON v.tenant_id = c.tenant_id AND v.hash = c.hash AND v.model = %s
    AND v.dimension = %s
WHERE c.tenant_id = %s AND c.project_id = %s AND c.hash = ANY(%s::bytea[])
AND (u.owner_id IS NULL OR u.owner_id = %s)
ORDER BY c.hash
"""


class SqlIndexes:
    """Words and vectors in PostgreSQL, searched in memory.

    Any number of processes may read and write. Views of projects are kept in memory up to
    ``memory_bytes``, those used last; each search asks with one query whether its views are
    still the newest. Vectors are searched exactly up to ``exact_chunks`` live chunks of a
    project, above that through ``vectors``, and exactly without one.
    """

    def __init__(
        self,
        pool: Pool,
        vectors: VectorIndex | None = None,
        *,
        exact_chunks: int = 50_000,
        memory_bytes: int = 512 << 20,
    ) -> None:
        self.model = ModelInUse()
        self.database = Database(pool)
        self.vectors = vectors
        self.views = Views(
            self.database,
            self.model,
            exact_chunks=None if vectors is None else exact_chunks,
            memory_bytes=memory_bytes,
        )
        self.counter = ProgressCounter(self.database, self.model)

    def of(self, tenant_id: str) -> SqlIndexStore:
        """Returns the indexes of a tenant."""
        return SqlIndexStore(self, tenant_id)

    def use_model(self, model: str, dimension: int) -> None:
        """Makes a model the one whose vectors this process asks and makes.

        Projects with vectors of another one keep them until a worker has made those of this
        one beside them; until then this process finds words only, and says so.
        """
        self.model.current = Model(model, dimension)

    def purge(self, tenant_id: str) -> int:
        """Deletes vectors that no text or generation of a tenant needs; returns how many texts'.

        Does nothing while a project is behind its log.

        Raises:
            Busy, Unavailable: the database cannot be written now.
        """

        def once() -> int:
            with self.database.transaction(tenant_id) as connection:
                if connection.execute(_BEHIND, (tenant_id,)).fetchone() is not None:
                    return 0
                rows = connection.execute(_NEEDLESS, (tenant_id,)).fetchall()
                forget_unused(connection, tenant_id, [row[0] for row in rows])
                connection.execute(_OTHER_MODELS, (tenant_id,))
                return len(rows)

        return retried(once)


class SqlIndexStore:
    """The indexes of one tenant's projects. Synchronous: called from threads."""

    def __init__(self, indexes: SqlIndexes, tenant_id: str) -> None:
        self._indexes = indexes
        self._tenant_id = tenant_id

    def view(self, project_id: str) -> ProjectView:
        """Returns what is indexed of a project, all that was applied before the call included.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        there = self._indexes.counter.changes_of(self._tenant_id, [project_id])
        changes, _ = there.get(project_id, (None, 0))
        return self._indexes.views.view(self._tenant_id, project_id, changes)

    def similarities(
        self, view: ProjectView, model: str, query: NDArray[np.float32]
    ) -> NDArray[np.float32] | None:
        """Returns the cosine of ``query`` and each chunk, (chunks,), NaN without a vector.

        Of a large project with a vector server only the nearest are exact; the others get an
        estimate not above them. None if there is no vector of this model, or the server does
        not answer.

        Raises:
            InvalidInput: ``query`` has another dimension than the model's vectors.
        """
        origin = self._indexes.views.origin(view)
        if origin is None or origin.exact:
            return exact_similarities(view, model, query)
        vectors = self._indexes.vectors
        if vectors is None or origin.model is None or origin.model.name != model:
            return None
        return nearest_similarities(vectors, view, origin, query)

    def progress(self, project_id: str) -> Progress:
        """Returns how far a project is indexed.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        return self._indexes.counter.reached(self._tenant_id, [project_id])[0].progress

    def vectors_of(
        self, project_id: str, hashes: Sequence[str], *, asker: str | None = None
    ) -> VectorBatch | None:
        """Returns the vectors of texts of a project by their hashes (hex), those that there are.

        Texts of somebody else's PRIVATE records are left out. None where there is no model.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        model = self._indexes.model.current
        if model is None:
            return None
        wanted = [bytes.fromhex(hashed) for hashed in hashes]
        found = self._indexes.database.ask(
            self._tenant_id,
            _VECTORS_OF,
            (model.name, model.dimension, self._tenant_id, project_id, wanted, asker),
        )
        vectors = vector_rows([bytes(blob) for _, blob in found], model.dimension)
        rows = [(bytes(hashed).hex(), v) for (hashed, _), v in zip(found, vectors, strict=True)]
        return VectorBatch(model.name, model.dimension, rows)

    def read(self, project_ids: Sequence[str]) -> SqlReading:
        """Begins to read several projects: what was applied before the call is in their views.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        return SqlReading(self._indexes, self._tenant_id, project_ids)

    def apply(
        self,
        project_id: str,
        upto_seq: int,
        records: Sequence[IndexRecord],
        deleted: Sequence[Ref],
        *,
        after_seq: int,
    ) -> None:
        """Replaces records, drops deleted ones and moves the progress, as one.

        With a deleted session goes all that belongs to it. Nothing is done if another process
        was faster: its records are at least as new. A record that cannot be cut is noted with
        its reason and holds up no other.

        Raises:
            Unavailable: the progress is below ``after_seq``, where the batch begins; or the
                database does not answer, or a newer release has built the index.
            InvalidInput: a record is of another project.
            Busy, StorageFull: the database cannot be written now.
        """
        if any(record.project_id != project_id for record in records):
            raise InvalidInput("a record of another project cannot be indexed here")
        batch = cache(partial(prepare_batch, records, deleted))
        retried(lambda: self._write(project_id, upto_seq, batch, after_seq))

    def reset(self, project_id: str) -> None:
        """Empties a project and puts its progress to 0. Vectors stay for the texts that return.

        Raises:
            Busy, Unavailable: the database cannot be written now.
        """
        with self._indexes.database.transaction(self._tenant_id) as connection:
            clear(lock(connection, self._tenant_id, project_id))

    def _write(
        self, project_id: str, upto_seq: int, batch: Callable[[], Batch], after_seq: int
    ) -> None:
        """Cuts and writes under the project's lock: whoever waits for it finds the work done,
        and does not cut the same records once more."""
        indexes = self._indexes
        with indexes.database.transaction(self._tenant_id, limit_s=STEP_S) as connection:
            locked = lock(connection, self._tenant_id, project_id)
            if locked.applied_seq < after_seq:
                raise Unavailable("the index was begun anew; take its progress again")
            if locked.applied_seq > after_seq:
                return
            of = read_generations(locked)
            if indexes.model.current is not None and not of:
                of = [generations.ensure(locked, indexes.model.current)]
                locked = locked._replace(last_generation=of[0].number)
            write(locked, batch(), upto_seq, of, keep_gone=indexes.vectors is not None)


class SqlReading:
    """Some projects' indexes as one request reads them, with one question to the database.

    A view that has read exactly as many changes as `progress` was counted after is of the same
    moment, whatever was written since.
    """

    def __init__(self, indexes: SqlIndexes, tenant_id: str, project_ids: Sequence[str]) -> None:
        """Asks how far the projects are indexed; raises as `SqlIndexStore.read`."""
        self._indexes = indexes
        self._tenant_id = tenant_id
        reached = indexes.counter.reached(tenant_id, project_ids)
        self._changes = {
            project_id: at.changes for project_id, at in zip(project_ids, reached, strict=True)
        }
        self._is_moved = self._is_elsewhere = False
        self.progress = [at.progress for at in reached]
        self.similarities = indexes.of(tenant_id).similarities

    def view(self, project_id: str) -> ProjectView:
        """Returns what is indexed of one of the projects, with one question if it has changed.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        changes = self._changes[project_id]
        view = self._indexes.views.view(self._tenant_id, project_id, changes)
        if changes is not None:
            origin = self._indexes.views.origin(view)
            self._is_moved |= origin is None or origin.changes != changes
            self._is_elsewhere |= origin is None or not origin.exact
        return view

    def is_still(self) -> bool:
        """Says whether all that was read so far is of the moment of `progress`.

        Vectors on a server are of the moment at which it was asked, so that the database must
        say whether anything was done to them since.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        if self._is_moved or not self._is_elsewhere:
            return not self._is_moved
        there = self._indexes.counter.changes_of(self._tenant_id, [*self._changes])
        return all(
            there.get(project_id, (None, 0))[0] == changes
            for project_id, changes in self._changes.items()
        )
