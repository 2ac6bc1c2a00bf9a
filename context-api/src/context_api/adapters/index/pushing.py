"""Keeps a vector server in step with the stored vectors, and finds out when it is not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import LiteralString, NamedTuple

from context_api.adapters.index.care import SqlIndexSource
from context_api.adapters.index.state import GONE, Generation, lock_for, read_generations, tell
from context_api.adapters.index.store import SqlIndexes
from context_api.adapters.index.watching import ServerWatch
from context_api.application.index_care import look
from context_api.application.index_work import Claim
from context_api.application.vectors import Space, VectorIndex, VectorItem
from memory_core.errors import Corrupt
from memory_core.recall.stored import vector_rows

AUDIT_EVERY_S = 900.0
_PAGE = 256
_KINDS = ("session", "checkpoint", "pattern")

_CHANGED: LiteralString = """
SELECT s.revision, s.number, s.kind, s.state, s.hash, u.id::text, v.vector
FROM chunk_states s
LEFT JOIN index_units u ON u.tenant_id = s.tenant_id AND u.project_id = s.project_id
    AND u.number = s.unit
LEFT JOIN chunk_vectors v ON s.state = 1 AND v.tenant_id = s.tenant_id AND v.hash = s.hash
    AND v.model = %s AND v.dimension = %s
WHERE s.tenant_id = %s AND s.project_id = %s AND s.generation = %s AND s.state IN (1, 3)
AND s.revision > %s AND (s.revision, s.number) > (%s, %s) AND s.revision <= %s
ORDER BY s.revision, s.number LIMIT %s
"""
_HELD: LiteralString = """
SELECT s.number, s.kind, s.hash FROM chunk_states s
WHERE s.tenant_id = %s AND s.project_id = %s AND s.generation = %s AND s.state = 1
AND s.revision <= %s
"""
_CHOSEN: LiteralString = """
SELECT s.revision, s.number, s.kind, s.state, s.hash, u.id::text, v.vector
FROM chunk_states s
JOIN index_units u ON u.tenant_id = s.tenant_id AND u.project_id = s.project_id
    AND u.number = s.unit
JOIN chunk_vectors v ON v.tenant_id = s.tenant_id AND v.hash = s.hash
    AND v.model = %s AND v.dimension = %s
WHERE s.tenant_id = %s AND s.project_id = %s AND s.generation = %s AND s.state = 1
AND s.number = ANY(%s::bigint[])
"""
_DONE: LiteralString = """
UPDATE index_generations SET pushed = greatest(pushed, %s)
WHERE tenant_id = %s AND project_id = %s AND generation = %s
"""
_SWEPT: LiteralString = """
DELETE FROM chunk_states WHERE tenant_id = %s AND project_id = %s AND generation = %s
AND state = 3 AND revision <= %s
"""


class _Changed(NamedTuple):
    """A chunk as the vector server must know it, or as it must forget it."""

    revision: int
    number: int
    kind: str
    state: int
    hashed: bytes
    record_id: str | None
    vector: bytes | None


class SqlVectorPush:
    """Sends vectors in the order of their revisions, behind a watermark of its own.

    While the server is away nothing else waits for it; when it is back, what it missed is sent
    and every project is compared with it, by hash, for it may have come back with less. So it is
    when a worker starts, and when the server turns out to have forgotten something.
    """

    def __init__(self, indexes: SqlIndexes, vectors: VectorIndex) -> None:
        self._database = indexes.database
        self._model = indexes.model
        self._vectors = vectors
        self.watch = ServerWatch(vectors)

    @property
    def open(self) -> bool:
        """Whether it is worth trying."""
        return self.watch.open

    @property
    def audit_age_s(self) -> float:
        """Projects last compared longer ago than this are compared again."""
        return min(AUDIT_EVERY_S, self.watch.doubted_s)

    def probe(self) -> bool:
        """Says if the server answers rightly, which it is asked every few seconds."""
        return self.watch.probe()

    def push(self, claim: Claim) -> bool:
        """Sends the vectors and deletions that the server does not know; says if there were any.

        Raises:
            Unavailable, Corrupt: the server does not take them; they are sent later.
            LeaseLost: another worker has taken the project over.
        """
        sent = False
        for generation, revision in self._behind(claim):
            sent |= self._push_generation(claim, generation, revision)
        return sent

    def audit(self, claim: Claim) -> int:
        """Compares what the server holds with what is stored, by hash, and mends the difference.

        Of the generation in use some vectors are asked for too, and mended if they are not
        found. Spaces of generations that are no more are dropped. Does nothing if the project
        was compared not long ago. Returns how many vectors were wrong.

        Raises:
            Unavailable, Corrupt: the server does not answer, or finds nothing built anew either.
            LeaseLost: another worker has taken the project over.
        """
        due = self._due(claim)
        if due:
            with self.watch.watching():
                self._drop_old_spaces(claim)
        wrong = 0
        # The one in use first: building it anew also drops what is built beside it.
        for generation in sorted(due, key=self._is_beside):
            with self.watch.watching():
                wrong += self._audit_generation(claim, generation)
            if not self._is_beside(generation):
                # What this raises is tried again by the next audit, not at once.
                wrong += self._look(claim)
        return wrong

    def _is_beside(self, generation: Generation) -> bool:
        return not generation.ready or generation.model != self._model.current

    def _look(self, claim: Claim) -> int:
        source = SqlIndexSource(
            self._database,
            claim.tenant_id,
            claim.project_id,
            model=self._model.current,
            claim=claim,
        )
        return look(self._vectors, source)

    # What is stored

    def _behind(self, claim: Claim) -> list[tuple[Generation, int]]:
        with self._database.transaction(claim.tenant_id) as connection:
            locked = lock_for(connection, claim)
            return [
                (generation, locked.revision)
                for generation in read_generations(locked)
                if generation.pushed < locked.revision
            ]

    def _due(self, claim: Claim) -> list[Generation]:
        with self._database.transaction(claim.tenant_id) as connection:
            locked = lock_for(connection, claim)
            rows = connection.execute(
                "SELECT generation FROM index_generations WHERE tenant_id = %s AND project_id = %s"
                " AND (audited_at IS NULL"
                " OR audited_at < clock_timestamp() - make_interval(secs => %s))",
                (*locked.key, self.audit_age_s),
            )
            due = {row[0] for row in rows}
            return [
                generation for generation in read_generations(locked) if generation.number in due
            ]

    def _numbers(self, claim: Claim) -> set[int]:
        with self._database.transaction(claim.tenant_id) as connection:
            return {
                generation.number for generation in read_generations(lock_for(connection, claim))
            }

    # Pushing

    def _push_generation(self, claim: Claim, generation: Generation, revision: int) -> bool:
        at = (generation.pushed, 0)
        sent = False
        while True:
            parameters = (
                *generation.model, claim.tenant_id, claim.project_id, generation.number,
                generation.pushed, *at, revision, _PAGE,
            )  # fmt: skip
            rows = [
                _Changed(*row) for row in self._database.ask(claim.tenant_id, _CHANGED, parameters)
            ]
            with self.watch.watching():
                self._send(claim, generation, rows)
            sent |= bool(rows)
            if len(rows) < _PAGE:
                self._note(claim, generation, revision)
                return sent
            at = (rows[-1].revision, rows[-1].number)
            self._note(claim, generation, rows[-1].revision - 1)

    def _send(self, claim: Claim, generation: Generation, rows: Sequence[_Changed]) -> None:
        items: dict[str, list[VectorItem]] = defaultdict(list)
        gone: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if row.state == GONE:
                gone[row.kind].append(str(row.number))
            elif row.vector is not None and row.record_id is not None:
                items[row.kind].append(_item(row, generation))
        for kind in items.keys() | gone.keys():
            space = _space(claim, generation, kind)
            try:
                if items[kind]:
                    self._vectors.upsert(space, items[kind])
                if gone[kind]:
                    self._vectors.delete(space, gone[kind])
            except Corrupt:
                self._begin_anew(claim, generation, space)
                raise

    def _begin_anew(self, claim: Claim, generation: Generation, space: Space) -> None:
        """Drops a damaged space, and puts the watermark to 0 so that all of it is sent again."""
        with self._database.transaction(claim.tenant_id) as connection:
            locked = lock_for(connection, claim)
            connection.execute(
                "UPDATE index_generations SET pushed = 0, audited_at = NULL"
                " WHERE tenant_id = %s AND project_id = %s AND generation = %s",
                (*locked.key, generation.number),
            )
            tell(locked)
        self._vectors.drop(space)

    def _note(self, claim: Claim, generation: Generation, revision: int) -> None:
        """Moves the watermark, and forgets the chunks that the server has forgotten."""
        with self._database.transaction(claim.tenant_id) as connection:
            locked = lock_for(connection, claim)
            connection.execute(_SWEPT, (*locked.key, generation.number, revision))
            connection.execute(_DONE, (revision, *locked.key, generation.number))
            tell(locked)

    # Comparing

    def _drop_old_spaces(self, claim: Claim) -> None:
        known = self._numbers(claim)
        for space in self._vectors.spaces(claim.tenant_id, claim.project_id):
            if space.generation not in known:
                self._vectors.drop(space)

    def _audit_generation(self, claim: Claim, generation: Generation) -> int:
        rows = self._database.ask(
            claim.tenant_id,
            _HELD,
            (claim.tenant_id, claim.project_id, generation.number, generation.pushed),
        )
        held: dict[str, dict[str, str]] = {kind: {} for kind in _KINDS}
        for number, kind, hashed in rows:
            held[kind][str(number)] = bytes(hashed).hex()
        wrong = 0
        for kind, expected in held.items():
            missing, extra = self._difference(_space(claim, generation, kind), expected)
            self._mend(claim, generation, missing)
            if extra:
                self._vectors.delete(_space(claim, generation, kind), extra)
            wrong += len(missing) + len(extra)
        with self._database.transaction(claim.tenant_id) as connection:
            locked = lock_for(connection, claim)
            connection.execute(
                "UPDATE index_generations SET audited_at = clock_timestamp()"
                " WHERE tenant_id = %s AND project_id = %s AND generation = %s",
                (*locked.key, generation.number),
            )
        return wrong

    def _difference(self, space: Space, expected: dict[str, str]) -> tuple[list[int], list[str]]:
        """Returns the chunks that the server lacks or has wrongly, and those too many."""
        missing = dict(expected)
        extra = []
        try:
            for number, hashed in self._vectors.hashes(space):
                if missing.get(number) == hashed:
                    del missing[number]
                elif number not in expected:
                    extra.append(number)
        except Corrupt:
            # What answers wrongly is not asked again: it is made anew.
            self._vectors.drop(space)
            return [int(number) for number in expected], []
        return [int(number) for number in missing], extra

    def _mend(self, claim: Claim, generation: Generation, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), _PAGE):
            page = list(numbers[start : start + _PAGE])
            rows = self._database.ask(
                claim.tenant_id,
                _CHOSEN,
                (*generation.model, claim.tenant_id, claim.project_id, generation.number, page),
            )
            self._send(claim, generation, [_Changed(*row) for row in rows])


def _item(row: _Changed, generation: Generation) -> VectorItem:
    vector = vector_rows([row.vector or b""], generation.model.dimension)[0]
    return VectorItem(str(row.number), row.record_id or "", row.hashed.hex(), vector)


def _space(claim: Claim, generation: Generation, kind: str) -> Space:
    return Space(
        tenant_id=claim.tenant_id,
        project_id=claim.project_id,
        kind=kind,
        model=generation.model.name,
        dimension=generation.model.dimension,
        generation=generation.number,
    )
