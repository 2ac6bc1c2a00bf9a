"""What PostgreSQL says that a vector server should hold of one project."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, LiteralString

import numpy as np
from numpy.typing import NDArray

from context_api.adapters.index.database import Database, Row
from context_api.adapters.index.state import (
    DEAD,
    EMBEDDED,
    GONE,
    WAITING,
    Locked,
    Model,
    lock_for,
    tell,
)
from context_api.application.index_care_source import Generation, SourceChunk
from context_api.application.index_work import Claim
from memory_core.errors import Busy, Conflict, ContextError, Unavailable
from memory_core.ids import uuid7
from memory_core.recall.stored import vector_rows

_PAGE: Final = 5_000
_LEASE_S: Final = 120.0
"""Comparing 100,000 chunks takes a few seconds; what takes longer than this loses its claim."""

_WAIT_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.1

_IN_USE: LiteralString = """
SELECT generation, model, dimension FROM index_generations
WHERE tenant_id = %s AND project_id = %s AND ready
ORDER BY (model = %s AND dimension = %s) DESC, generation DESC LIMIT 1
"""
_LAST: LiteralString = """
SELECT greatest(s.last_generation, max(g.generation)) FROM index_state s
LEFT JOIN index_generations g ON g.tenant_id = s.tenant_id AND g.project_id = s.project_id
WHERE s.tenant_id = %s AND s.project_id = %s GROUP BY s.last_generation
"""
_CHUNKS: LiteralString = """
SELECT s.number, u.id::text, s.hash, s.kind FROM chunk_states s
JOIN index_units u ON u.tenant_id = s.tenant_id AND u.project_id = s.project_id
    AND u.number = s.unit
WHERE s.tenant_id = %s AND s.project_id = %s AND s.generation = %s AND s.state IN (%s, %s)
AND s.number > %s ORDER BY s.number LIMIT %s
"""
# What the server was not sent yet it need not find.
_SOME: LiteralString = """
SELECT s.number, u.id::text, s.hash, s.kind FROM index_generations g
JOIN chunk_states s ON s.tenant_id = g.tenant_id AND s.project_id = g.project_id
    AND s.generation = g.generation AND s.state = %s AND s.revision <= g.pushed
JOIN index_units u ON u.tenant_id = s.tenant_id AND u.project_id = s.project_id
    AND u.number = s.unit
WHERE g.tenant_id = %s AND g.project_id = %s AND g.generation = %s
ORDER BY random() LIMIT %s
"""
# As if a day had passed, after which a worker tries them by itself.
_RETRY: LiteralString = """
UPDATE index_dead d SET at = now() - interval '2 days'
WHERE d.tenant_id = %s AND d.project_id = %s AND d.model <> '' AND EXISTS (
    SELECT 1 FROM chunk_states s WHERE s.tenant_id = d.tenant_id AND s.project_id = d.project_id
    AND s.hash = d.hash AND s.state = %s)
"""
_VECTORS: LiteralString = """
SELECT hash, vector FROM chunk_vectors
WHERE tenant_id = %s AND model = %s AND dimension = %s AND hash = ANY(%s::bytea[])
"""
_TAKE: LiteralString = """
UPDATE index_state SET lease_owner = %s, fence = fence + 1,
    lease_until = clock_timestamp() + make_interval(secs => %s)
WHERE tenant_id = %s AND project_id = %s
AND (lease_owner IS NULL OR lease_until IS NULL OR lease_until < clock_timestamp())
RETURNING fence
"""
_GIVE_BACK: LiteralString = """
UPDATE index_state SET lease_owner = NULL, lease_until = NULL
WHERE tenant_id = %s AND project_id = %s AND fence = %s AND lease_owner = %s
"""
_SWITCH: LiteralString = """
UPDATE index_generations SET generation = %s
WHERE tenant_id = %s AND project_id = %s AND generation = %s AND ready
AND model = %s AND dimension = %s
"""
_RENUMBER: LiteralString = """
UPDATE chunk_states SET generation = %s
WHERE tenant_id = %s AND project_id = %s AND generation = %s
"""
# What is gone need not be told to a server that does not know of it.
_FORGET_GONE: LiteralString = """
DELETE FROM chunk_states
WHERE tenant_id = %s AND project_id = %s AND generation = %s AND state = %s
"""
_PUSHED: LiteralString = """
UPDATE index_generations SET pushed = %s, audited_at = clock_timestamp()
WHERE tenant_id = %s AND project_id = %s AND generation = %s
"""
_NOTE_LAST: LiteralString = """
UPDATE index_state SET last_generation = greatest(last_generation, %s)
WHERE tenant_id = %s AND project_id = %s
"""


class SqlIndexSource:
    """One project's side of `context_api.application.index_care`. For one thread at a time."""

    def __init__(
        self,
        database: Database,
        tenant_id: str,
        project_id: str,
        *,
        model: Model | None = None,
        wait_s: float = _WAIT_S,
        pause: Callable[[float], None] = time.sleep,
        claim: Claim | None = None,
    ) -> None:
        """Takes the project, and the model that searches use where several are complete.

        ``claim`` is what a worker has of the project already; without one, who pauses the
        indexer waits ``wait_s`` seconds for it.
        """
        self._database = database
        self._key = (tenant_id, project_id)
        self._model = model or Model("", 0)
        self._wait_s = wait_s
        self._pause = pause
        self._given = claim
        self._claim: Claim | None = None

    @property
    def tenant_id(self) -> str:
        """The tenant."""
        return self._key[0]

    @property
    def project_id(self) -> str:
        """The project."""
        return self._key[1]

    def generation(self) -> Generation:
        """Returns the generation that searches ask and the indexer writes to.

        Raises:
            Unavailable: nothing of the project has vectors yet.
        """
        rows = self._ask(_IN_USE, (*self._key, *self._model))
        if not rows:
            raise Unavailable("the project has no vectors yet")
        return Generation(*rows[0])

    def unused_number(self) -> int:
        """Returns a number above that of every generation that there ever was."""
        rows = self._ask(_LAST, self._key)
        return 1 + (int(rows[0][0]) if rows else 0)

    def chunks(self) -> Iterator[SourceChunk]:
        """Yields the chunks that have a vector or wait for one, by rising number."""
        generation, last = self.generation().number, -1
        while True:
            page = self._ask(_CHUNKS, (*self._key, generation, WAITING, EMBEDDED, last, _PAGE))
            for number, record_id, hashed, kind in page:
                yield SourceChunk(str(number), record_id, bytes(hashed).hex(), kind)
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    def some(self, count: int) -> list[SourceChunk]:
        """Returns chunks chosen at random, of those whose vectors the server was sent."""
        generation = self.generation().number
        rows = self._ask(_SOME, (EMBEDDED, *self._key, generation, count))
        return [SourceChunk(str(row[0]), row[1], bytes(row[2]).hex(), row[3]) for row in rows]

    def retry_dead(self) -> int:
        """Lets a worker try again what could not be embedded; returns how many texts."""
        with self._database.transaction(self.tenant_id) as connection:
            return connection.execute(_RETRY, (*self._key, DEAD)).rowcount

    def vectors(
        self, generation: Generation, hashes: Sequence[str]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Returns a generation's vectors by content hash; texts not embedded yet are left out."""
        if not hashes:
            return {}
        wanted = [bytes.fromhex(one) for one in hashes]
        named = (self.tenant_id, generation.model, generation.dimension, wanted)
        rows = self._ask(_VECTORS, named)
        found = vector_rows([bytes(row[1]) for row in rows], generation.dimension)
        return {bytes(row[0]).hex(): found[place] for place, row in enumerate(rows)}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Holds the project's lease, so that no worker writes its vectors meanwhile.

        Raises:
            Busy: a worker keeps it, or the database does not answer in time.
        """
        claim = self._claim = self._given or self._take()
        try:
            yield
        finally:
            self._claim = None
            if self._given is None:
                self._give_back(claim)

    def _give_back(self, claim: Claim) -> None:
        # A lease that cannot be given back ends by itself.
        with suppress(ContextError), self._database.transaction(self.tenant_id) as connection:
            connection.execute(_GIVE_BACK, (*self._key, claim.fence, claim.worker_id))

    def switch(self, expected: Generation, to: Generation) -> None:
        """Gives the generation its new number, under which searches and the indexer find it.

        Raises:
            Conflict: it is no longer ``expected``, the lease was lost, or ``to`` has another
                model: the indexer switches to another one by itself when it is complete.
        """
        if expected[1:] != to[1:]:
            raise Conflict("a rebuild keeps the model; the indexer changes it")
        with self._locked() as locked:
            run = locked.connection.execute
            renumbered = run(_SWITCH, (to.number, *self._key, expected.number, *expected[1:]))
            if not renumbered.rowcount:
                raise Conflict("another generation is in use by now")
            run(_RENUMBER, (to.number, *self._key, expected.number))
            run(_NOTE_LAST, (to.number, *self._key))
            _note_pushed(locked, to)

    def note_equal(self, generation: Generation) -> None:
        """Notes that the server holds all that there is, so that it is not pushed again.

        Raises:
            Conflict: the lease was lost.
        """
        with self._locked() as locked:
            _note_pushed(locked, generation)

    @contextmanager
    def _locked(self) -> Iterator[Locked]:
        if self._claim is None:
            raise Conflict("only who has paused the indexer may do this")
        with self._database.transaction(self.tenant_id) as connection:
            yield lock_for(connection, self._claim)

    def _take(self) -> Claim:
        """Claims the project as a worker does."""
        worker_id = f"care-{uuid7()}"
        end = time.monotonic() + self._wait_s
        while True:
            with self._database.transaction(self.tenant_id) as connection:
                row = connection.execute(_TAKE, (worker_id, _LEASE_S, *self._key)).fetchone()
            if row is not None:
                return Claim(
                    tenant_id=self.tenant_id,
                    project_id=self.project_id,
                    worker_id=worker_id,
                    fence=row[0],
                )
            if time.monotonic() >= end:
                raise Busy("a worker keeps indexing this project; try again later")
            self._pause(_LOOK_EVERY_S)

    def _ask(self, query: LiteralString, parameters: Sequence[object]) -> list[Row]:
        return self._database.ask(self.tenant_id, query, parameters)


def _note_pushed(locked: Locked, generation: Generation) -> None:
    locked.connection.execute(_FORGET_GONE, (*locked.key, generation.number, GONE))
    locked.connection.execute(_PUSHED, (locked.revision, *locked.key, generation.number))
    tell(locked)
