"""Writes records and vectors into the file, each call in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from memory_core.errors import Conflict, InvalidInput
from memory_core.local_index.schema import DEAD, EMBEDDED, WAITING
from memory_core.recall.prepare import PreparedChunk, PreparedUnit
from memory_core.recall.stored import signed_fingerprint, too_many_gone
from memory_core.records import Kind, Ref

_REASON_CHARS = 500

_INSERT_UNIT = """
INSERT INTO units (project, revision, alive, kind, id, session_id, position, role, tool, question,
    author, owner_id, created, quality, size, fingerprint, digest)
VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_CHUNK = """
INSERT INTO chunks (project, unit, revision, seq, state, vector, start, stop, length, hash, terms,
    frequencies)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commits what is done inside, or undoes it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


class Writer:
    """One transaction's view of the tables. Made inside `transaction`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._run = connection.execute
        self.model = self._setting("model")

    # Progress and models

    def project(self, project_id: str) -> int:
        """Returns the number of a project, a new one if it is new."""
        self._run("INSERT OR IGNORE INTO projects (id) VALUES (?)", (project_id,))
        row = self._run("SELECT number FROM projects WHERE id = ?", (project_id,)).fetchone()
        return int(row[0])

    def new_revision(self) -> int:
        """Returns a revision above all others."""
        revision = (self._setting("revision") or 0) + 1
        self._set("revision", revision)
        return revision

    def touch(self, projects: Iterable[int], revision: int, *, reload: bool = False) -> None:
        """Tells the views of these projects that there is something new."""
        self._connection.executemany(
            "UPDATE projects SET revision = ?, generation = generation + ? WHERE number = ?",
            [(revision, int(reload), number) for number in projects],
        )

    def advance(self, project: int, upto_seq: int) -> None:
        """Moves a project's progress forward; repeated or late work does not move it back."""
        self._run(
            "UPDATE projects SET lexical_seq = max(lexical_seq, ?) WHERE number = ?",
            (upto_seq, project),
        )

    def model_number(self, name: str, dimension: int) -> int:
        """Returns the number of a model, a new one if it is new.

        Raises:
            Conflict: the model has vectors of another dimension.
        """
        self._run("INSERT OR IGNORE INTO models (name, dimension) VALUES (?, ?)", (name, dimension))
        row = self._run("SELECT number, dimension FROM models WHERE name = ?", (name,)).fetchone()
        if row[1] != dimension:
            raise Conflict(f"vectors of {name} have {row[1]} dimensions here, not {dimension}")
        return int(row[0])

    def choose_model(self, number: int) -> None:
        """Makes a model the one whose vectors are used and waited for."""
        if number == self.model:
            return
        if self.model is None:
            # What was given up on before any model was named, was so with this one.
            self._run("UPDATE OR REPLACE dead SET model = ? WHERE model = 0", (number,))
        self.model = number
        self._set("model", number)
        self._run(
            "UPDATE chunks SET vector = (SELECT v.number FROM vectors v WHERE v.model = ?1"
            " AND v.hash = chunks.hash)",
            (number,),
        )
        self._run(
            "UPDATE chunks SET state = CASE WHEN vector IS NOT NULL THEN ?2 WHEN EXISTS (SELECT 1"
            " FROM dead d WHERE d.model = ?1 AND d.hash = chunks.hash) THEN ?3 ELSE ?4 END",
            (number, EMBEDDED, DEAD, WAITING),
        )
        # Texts are kept only until they are embedded: those that are gone must be read again.
        self._run(
            "UPDATE projects SET lexical_seq = 0 WHERE number IN (SELECT project FROM chunks"
            " WHERE state = ? AND hash NOT IN (SELECT hash FROM pending))",
            (WAITING,),
        )
        self._run("DELETE FROM pending WHERE hash NOT IN (SELECT hash FROM chunks WHERE state = 0)")
        every = [row[0] for row in self._run("SELECT number FROM projects")]
        self.touch(every, self.new_revision(), reload=True)

    # Records

    def digest_of(self, project: int, ref: Ref) -> bytes | None:
        """Returns the digest of a live record, None if it is not indexed."""
        row = self._run(
            "SELECT digest FROM units WHERE project = ? AND kind = ? AND id = ? AND alive",
            (project, ref.kind, ref.id),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def remove(self, project: int, revision: int, refs: Iterable[Ref]) -> set[bytes]:
        """Marks records as gone; returns the hashes of chunks that may be of no use now."""
        freed: set[bytes] = set()
        for ref in refs:
            row = self._run(
                "SELECT number FROM units WHERE project = ? AND kind = ? AND id = ? AND alive",
                (project, ref.kind, ref.id),
            ).fetchone()
            if row is None:
                continue
            rows = self._run("SELECT hash FROM chunks WHERE unit = ?", row).fetchall()
            freed.update(bytes(hashed) for (hashed,) in rows)
            self._run("DELETE FROM chunks WHERE unit = ?", row)
            # The row stays so that views learn of it; what it said does not.
            self._run(
                "UPDATE units SET alive = 0, revision = ?, author = '', owner_id = NULL,"
                " session_id = NULL, fingerprint = 0, digest = x'' WHERE number = ?",
                (revision, *row),
            )
        return freed

    def members(self, project: int, session_id: str) -> list[Ref]:
        """Returns the records that belong to a session, itself included."""
        rows = self._run(
            "SELECT kind, id FROM units WHERE project = ? AND session_id = ? AND alive",
            (project, session_id),
        )
        return [Ref(Kind(kind), identity) for kind, identity in rows]

    def insert(self, project: int, revision: int, unit: PreparedUnit, digest: bytes) -> None:
        """Adds a record with its chunks."""
        record = unit.record
        cursor = self._run(
            _INSERT_UNIT,
            (project, revision, record.kind, record.id, record.session_id, record.position,
             record.role, bool(record.tool_name), unit.question, _clean(record.author),
             record.owner_id, unit.created, record.quality, len(record.text),
             signed_fingerprint(unit.fingerprint), digest),
        )  # fmt: skip
        for chunk in unit.chunks:
            state, vector = self.queue(chunk)
            self._run(
                _INSERT_CHUNK,
                (project, cursor.lastrowid, revision, record.seq, state, vector, chunk.start,
                 chunk.end, chunk.length, chunk.content_hash, chunk.counts.terms.tobytes(),
                 chunk.counts.frequencies.tobytes()),
            )  # fmt: skip

    def queue(self, chunk: PreparedChunk) -> tuple[int, int | None]:
        """Lets a chunk's text wait for its vector unless that is known; returns state, vector."""
        known = self._run(
            "SELECT number FROM vectors WHERE model = ? AND hash = ?",
            (self.model, chunk.content_hash),
        ).fetchone()
        if known is not None:
            return EMBEDDED, int(known[0])
        given_up = self._run(
            "SELECT 1 FROM dead WHERE model = ? AND hash = ?", (self.model or 0, chunk.content_hash)
        ).fetchone()
        if given_up is not None:
            return DEAD, None
        self._run(
            "INSERT OR IGNORE INTO pending (hash, text) VALUES (?, ?)",
            (chunk.content_hash, _clean(chunk.embedded_text)),
        )
        return WAITING, None

    def forget_unused(self, hashes: Iterable[bytes]) -> None:
        """Deletes texts and vectors of chunks that exist no more: erased is erased."""
        for hashed in hashes:
            if self._run("SELECT 1 FROM chunks WHERE hash = ?", (hashed,)).fetchone():
                continue
            for table in ("vectors", "pending", "dead"):
                self._run(f"DELETE FROM {table} WHERE hash = ?", (hashed,))  # noqa: S608 (ours)

    def drop_tombstones(self, project: int) -> bool:
        """Deletes the rows of records long gone once they are many; views must then reload."""
        row = self._run(
            "SELECT count(*), coalesce(sum(alive), 0) FROM units WHERE project = ?", (project,)
        ).fetchone()
        if not too_many_gone(*row):
            return False
        self._run("DELETE FROM units WHERE project = ? AND NOT alive", (project,))
        return True

    def clear(self, project: int) -> None:
        """Deletes all records of a project and the texts that waited; vectors stay."""
        self._run("DELETE FROM chunks WHERE project = ?", (project,))
        self._run("DELETE FROM units WHERE project = ?", (project,))
        self._run("DELETE FROM pending WHERE hash NOT IN (SELECT hash FROM chunks)")
        self._run("UPDATE projects SET lexical_seq = 0 WHERE number = ?", (project,))

    def begin_anew(self, source: int) -> list[int]:
        """Empties every project and keeps of what the index is made now; returns the projects."""
        every = [int(row[0]) for row in self._run("SELECT number FROM projects")]
        for project in every:
            self.clear(project)
        self.touch(every, self.new_revision(), reload=True)
        self._set("source", source)
        return every

    # Vectors

    def put_vector(
        self, model: int, hashed: bytes, vector: NDArray[np.float32], revision: int
    ) -> set[int]:
        """Stores a vector; returns the projects that use it, none if its text is gone."""
        rows = self._run("SELECT DISTINCT project FROM chunks WHERE hash = ?", (hashed,)).fetchall()
        self._run("DELETE FROM pending WHERE hash = ?", (hashed,))
        if not rows:
            return set()
        number = self._run(
            "INSERT INTO vectors (model, hash, vector) VALUES (?, ?, ?)"
            " ON CONFLICT (model, hash) DO UPDATE SET vector = vector RETURNING number",
            (model, hashed, vector.astype("<f4").tobytes()),
        ).fetchone()[0]
        self._run(
            "UPDATE chunks SET vector = ?, state = ?, revision = ? WHERE hash = ? AND state != ?",
            (number, EMBEDDED, revision, hashed, EMBEDDED),
        )
        return {row[0] for row in rows}

    def give_up(self, hashed: bytes, reason: str) -> None:
        """Marks a text as one that cannot be embedded."""
        self._run("DELETE FROM pending WHERE hash = ?", (hashed,))
        if not self._run("SELECT 1 FROM chunks WHERE hash = ?", (hashed,)).fetchone():
            return
        self._run(
            "INSERT OR REPLACE INTO dead (model, hash, reason) VALUES (?, ?, ?)",
            (self.model or 0, hashed, _clean(reason)[:_REASON_CHARS]),
        )
        self._run(
            "UPDATE chunks SET state = ? WHERE hash = ? AND state = ?", (DEAD, hashed, WAITING)
        )

    def purge_vectors(self) -> int:
        """Deletes vectors that no chunk uses, and those of other models; returns how many."""
        cursor = self._run(
            "DELETE FROM vectors WHERE model IS NOT ? OR hash NOT IN (SELECT hash FROM chunks)",
            (self.model,),
        )
        return cursor.rowcount

    def _setting(self, name: str) -> int | None:
        row = self._run("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def _set(self, name: str, value: int) -> None:
        self._run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, value))


def checked_vectors(
    vectors: Sequence[tuple[str, NDArray[np.float32]]],
) -> list[tuple[bytes, NDArray[np.float32]]]:
    """Returns content hashes as bytes with their vectors, all of one dimension.

    Raises:
        InvalidInput: a hash is none, or a vector is not finite or of another dimension.
    """
    checked = []
    for text, vector in vectors:
        row = np.asarray(vector, dtype=np.float32)
        if row.ndim != 1 or row.size == 0 or row.size != np.size(vectors[0][1]):
            raise InvalidInput("vectors of one call must have one dimension")
        if not np.isfinite(row).all():
            raise InvalidInput("a vector holds numbers that are not finite")
        checked.append((hash_bytes(text), row))
    return checked


def hash_bytes(text: str) -> bytes:
    """Returns the bytes of a content hash.

    Raises:
        InvalidInput: the text is not hexadecimal.
    """
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise InvalidInput("not a content hash") from error


def _clean(text: str) -> str:
    """Returns the text as SQLite can store it: lone surrogates are replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
