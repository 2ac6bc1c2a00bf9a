"""The local index: one SQLite file behind recall's two ports, and its writing side."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory_core.errors import Conflict, InvalidInput, Unavailable
from memory_core.local_index.kept import KeptViews, Stand, is_worth_keeping, stand_of
from memory_core.local_index.reading import (
    ModelRow,
    ProjectRow,
    read_model,
    read_project,
    read_setting,
    read_vectors,
    refresh,
)
from memory_core.local_index.schema import DEAD, WAITING, open_reader, open_writer, translated
from memory_core.local_index.writing import (
    Writer,
    checked_vectors,
    hash_bytes,
    transaction,
)
from memory_core.recall.building import ViewBuilder
from memory_core.recall.dense import exact_similarities
from memory_core.recall.ports import IndexRecord, Progress
from memory_core.recall.prepare import prepare, record_digest
from memory_core.recall.stored import DEAD_SHARE
from memory_core.recall.vectors import VectorBlocks
from memory_core.recall.view import ProjectView
from memory_core.records import Kind, Ref
from memory_core.sync.vectors import VectorBatch

MEMORY_BYTES = 512 << 20


@dataclass(slots=True)
class _Loaded:
    """A project's view in memory, and how far it has read."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    builder: ViewBuilder = field(default_factory=ViewBuilder)
    view: ProjectView | None = None
    model: ModelRow | None = None
    generation: int = -1
    revision: int = 0
    last_chunk: int = 0


class LocalIndex:
    """Words and vectors of all projects in one file of its own.

    Threads may share it. One process writes at a time (another one waits up to 5 s, then gets
    `Busy`); any number may read, and see each other's writes at their next search. Views of
    projects are kept in memory up to ``memory_bytes``, those used last.
    """

    def __init__(
        self, path: Path, *, memory_bytes: int = MEMORY_BYTES, keep_views: bool = False
    ) -> None:
        """Opens the file, or makes it.

        With ``keep_views`` the views of large projects are written down beside it
        (`memory_core.local_index.kept`): a process that runs for one search starts with them.

        Raises:
            Corrupt: the file is damaged, or is no index; the detail says how to mend it.
            Busy, StorageFull, Unavailable: it cannot be opened now.
        """
        self._path = path
        self._memory_bytes = memory_bytes
        self._keep_views = keep_views
        self._kept = KeptViews(path)
        self._writer = open_writer(path)
        self._writing = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self._sharing = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls, path: Path, *, memory_bytes: int = MEMORY_BYTES, keep_views: bool = False
    ) -> LocalIndex:
        """Opens the file, or makes it; raises as the constructor does."""
        return cls(path, memory_bytes=memory_bytes, keep_views=keep_views)

    def close(self) -> None:
        """Closes the file. A call that runs in another thread ends with `Unavailable`."""
        with self._writing, self._sharing:
            self._closed = True
            while self._readers:
                self._readers.pop().close()
            # Last, so that it takes the write-ahead log into the file; a reader could not.
            self._writer.close()
            self._loaded.clear()

    # Reading

    def view(self, project_id: str) -> ProjectView:
        """Returns what is indexed of a project, everything applied before the call included."""
        with self._sharing:
            loaded = self._loaded.setdefault(project_id, _Loaded())
            self._loaded.move_to_end(project_id)
        with loaded.lock, self._reading() as connection:
            view = self._current(connection, project_id, loaded)
        self._evict(project_id)
        return view

    def similarities(
        self, view: ProjectView, model: str, query: NDArray[np.float32]
    ) -> NDArray[np.float32] | None:
        """Returns the cosine of ``query`` and each chunk, NaN without a vector.

        None if the index holds no vector of this model.

        Raises:
            InvalidInput: ``query`` has another dimension than the model's vectors.
        """
        return exact_similarities(view, model, query)

    def progress(self, project_id: str) -> Progress:
        """Returns how far a project is indexed."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT number, lexical_seq FROM projects WHERE id = ?", (project_id,)
            ).fetchone()
            if row is None:
                return Progress()
            waiting, first = connection.execute(
                "SELECT count(*), min(seq) FROM chunks WHERE project = ? AND state = ?"
                " AND state != 1",
                (row[0], WAITING),
            ).fetchone()
            (dead,) = connection.execute(
                "SELECT count(*) FROM chunks WHERE project = ? AND state = ? AND state != 1",
                (row[0], DEAD),
            ).fetchone()
        upto = int(row[1])
        return Progress(
            lexical_seq=upto,
            vector_seq=upto if first is None else min(upto, int(first) - 1),
            pending=int(waiting),
            dead=int(dead),
        )

    def pending_texts(self, limit: int) -> list[tuple[str, str]]:
        """Returns (content hash, text) of the ``limit`` chunks that wait longest for a vector."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT hash, text FROM pending ORDER BY number LIMIT ?", (limit,)
            ).fetchall()
        return [(bytes(hashed).hex(), text) for hashed, text in rows]

    def waiting(self, project_id: str, *, after: int = 0, limit: int) -> list[tuple[int, str]]:
        """Returns (place, content hash) of texts of a project that wait for a vector.

        In the order in which they came, those behind the place ``after``: who knows some of the
        vectors asks on from the last place, and is not held up by those that it does not know.
        """
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT p.number, p.hash FROM pending p WHERE p.number > ? AND EXISTS (SELECT 1"
                " FROM chunks c INDEXED BY chunks_by_hash JOIN projects j ON j.number = c.project"
                " WHERE c.hash = p.hash AND j.id = ?) ORDER BY p.number LIMIT ?",
                (after, project_id, limit),
            ).fetchall()
        return [(int(number), bytes(hashed).hex()) for number, hashed in rows]

    def model(self) -> tuple[str, int] | None:
        """Returns the name and dimension of the model in use, None before the first vector."""
        with self._reading() as connection:
            row = read_model(connection)
        return None if row is None else (row.name, row.dimension)

    def vectors_of(
        self, project_id: str, hashes: Sequence[str], *, asker: str | None = None
    ) -> VectorBatch | None:
        """Returns the vectors of texts of a project by their hashes (hex), those that there are.

        Texts of somebody else's PRIVATE records are left out. None before the first vector.
        """
        with self._reading() as connection:
            return read_vectors(connection, project_id, hashes, asker)

    # Writing

    def apply(
        self,
        project_id: str,
        upto_seq: int,
        records: Sequence[IndexRecord],
        deleted: Sequence[Ref],
    ) -> None:
        """Replaces records, removes deleted ones and moves the progress, in one transaction.

        With a deleted session goes all that belongs to it.
        Repeating it, or applying older positions again, is harmless.

        Raises:
            InvalidInput: a record is of another project.
            InvalidTime: a record's ``created_at`` is no time.
        """
        if any(record.project_id != project_id for record in records):
            raise InvalidInput("a record of another project cannot be indexed here")
        latest = {Ref(Kind(record.kind), record.id): record for record in records}
        # Cutting and counting takes longest and needs no lock.
        prepared = {ref: (prepare(record), record_digest(record)) for ref, record in latest.items()}
        with self._transaction() as writer:
            project, revision = writer.project(project_id), writer.new_revision()
            fresh = []
            for ref, (unit, digest) in prepared.items():
                if writer.digest_of(project, ref) != digest:
                    fresh.append(ref)
                    continue
                for chunk in unit.chunks:
                    writer.queue(chunk)
            gone = set(deleted)
            for ref in deleted:
                if ref.kind is Kind.SESSION:
                    gone.update(writer.members(project, ref.id))
            freed = writer.remove(project, revision, [*fresh, *sorted(gone)])
            for ref in fresh:
                if ref not in gone:
                    writer.insert(project, revision, *prepared[ref])
            writer.forget_unused(freed)
            writer.advance(project, upto_seq)
            dropped = bool(freed) and writer.drop_tombstones(project)
            writer.touch([project], revision, reload=dropped)
        if freed:
            self._kept.forget(project)

    def use_model(self, model: str, dimension: int) -> None:
        """Makes a model the one whose vectors are used, and waited for.

        Vectors of another model are kept apart and found again if that one comes back. Where a
        text must be embedded anew, progress goes back to 0, so that it is read again; words are
        found meanwhile.

        Raises:
            Conflict: the model has vectors of another dimension.
        """
        with self._transaction() as writer:
            writer.choose_model(writer.model_number(model, dimension))

    def put_vectors(self, model: str, vectors: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        """Stores vectors by content hash; those whose text is gone are dropped.

        The first model that ever gives a vector becomes the one in use.

        Raises:
            InvalidInput: a vector is not finite, or not as long as the first.
            Conflict: another model is in use, or the model's vectors have another dimension.
        """
        checked = checked_vectors(vectors)
        if not checked:
            return
        with self._transaction() as writer:
            number = writer.model_number(model, int(checked[0][1].size))
            if writer.model is None:
                writer.choose_model(number)
            if writer.model != number:
                raise Conflict(f"{model} is not the model in use here; choose it with use_model")
            revision = writer.new_revision()
            touched: set[int] = set()
            for hashed, vector in checked:
                touched |= writer.put_vector(number, hashed, vector, revision)
            writer.touch(touched, revision)

    def mark_dead(self, content_hash: str, reason: str) -> None:
        """Gives up on a text that cannot be embedded; it is still found by its words.

        Raises:
            InvalidInput: that is no content hash.
        """
        with self._transaction() as writer:
            writer.give_up(hash_bytes(content_hash), reason)

    def bind(self, source: int) -> bool:
        """Says of what the index is made, by any number below 2**62; True if that is new.

        An index of something else is emptied; vectors stay for the texts that return.
        """
        with self._reading() as connection:
            if read_setting(connection, "source") == source:
                return False
        with self._transaction() as writer:
            every = writer.begin_anew(source)
        for project in every:
            self._kept.forget(project)
        return True

    def reset(self, project_id: str) -> None:
        """Empties a project and puts its progress to 0. Vectors stay for the texts that return."""
        with self._transaction() as writer:
            project = writer.project(project_id)
            writer.clear(project)
            writer.touch([project], writer.new_revision(), reload=True)
        self._kept.forget(project)

    def purge(self) -> int:
        """Deletes vectors that no text or model in use needs; returns how many.

        Afterwards the file's write-ahead log is emptied, so that nothing removed stays in it.
        """
        with self._transaction() as writer:
            purged = writer.purge_vectors()
        with translated(self._path), self._writing:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return purged

    # Inside

    def _current(
        self, connection: sqlite3.Connection, project_id: str, loaded: _Loaded
    ) -> ProjectView:
        """Returns the loaded view after it has read what is new."""
        connection.execute("BEGIN")
        try:
            project, model = read_project(connection, project_id), read_model(connection)
            if project is None:
                return ViewBuilder().snapshot()
            same = loaded.generation == project.generation and loaded.model == model
            if same and loaded.revision == project.revision and loaded.view is not None:
                return loaded.view
            stand = stand_of(connection, project_id, project, model)
            if not same or loaded.builder.dead_share > DEAD_SHARE:
                self._begin(loaded, project, model, stand, anew=same)
            before = loaded.builder.held
            # Until it is complete, a failed refresh must not pass for a whole one.
            loaded.view, loaded.generation = None, -1
            loaded.last_chunk = refresh(
                connection,
                loaded.builder,
                project,
                after_revision=loaded.revision,
                after_chunk=loaded.last_chunk,
            )
        finally:
            connection.execute("COMMIT")
        loaded.revision, loaded.model = project.revision, model
        if self._keep_views and is_worth_keeping(before, loaded.builder.held):
            at = replace(stand, last_chunk=loaded.last_chunk)
            self._kept.keep(connection, project, at, loaded.builder)
        loaded.view, loaded.generation = loaded.builder.snapshot(), project.generation
        return loaded.view

    def _begin(
        self,
        loaded: _Loaded,
        project: ProjectRow,
        model: ModelRow | None,
        stand: Stand,
        *,
        anew: bool,
    ) -> None:
        """Begins a view with the one that was kept, else, or with ``anew``, with an empty one."""
        found = self._kept.take(project, stand) if self._keep_views and not anew else None
        if found is not None and found[1].dead_share <= DEAD_SHARE:
            kept, loaded.builder = found
            loaded.revision, loaded.last_chunk = kept.revision, kept.last_chunk
            return
        loaded.builder = ViewBuilder()
        loaded.revision = loaded.last_chunk = 0
        if model is not None:
            loaded.builder.vectors = VectorBlocks(model.name, model.dimension)

    def _evict(self, used: str) -> None:
        """Forgets the views used longest ago while they take too much memory."""
        with self._sharing:
            total = sum(loaded.builder.nbytes for loaded in self._loaded.values())
            for project_id in list(self._loaded):
                if total <= self._memory_bytes or project_id == used:
                    break
                total -= self._loaded.pop(project_id).builder.nbytes

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path):
            with self._sharing:
                if self._closed:
                    raise Unavailable("the index is closed")
                connection = self._readers.pop() if self._readers else None
            if connection is None:
                connection = open_reader(self._path)
            try:
                yield connection
            finally:
                self._put_back(connection)

    def _put_back(self, connection: sqlite3.Connection) -> None:
        with self._sharing:
            if self._closed:
                connection.close()
            else:
                self._readers.append(connection)

    @contextmanager
    def _transaction(self) -> Iterator[Writer]:
        with translated(self._path), self._writing:
            if self._closed:
                raise Unavailable("the index is closed")
            with transaction(self._writer):
                yield Writer(self._writer)
