"""The local index as the hub holds it: a file that is lost or damaged is begun anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from memory_core.clock import now
from memory_core.errors import Corrupt, Unavailable
from memory_core.local_index import LocalIndex
from memory_core.recall.ports import IndexRecord, Progress
from memory_core.recall.view import ProjectView
from memory_core.records import Ref
from memory_core.sync.vectors import VectorBatch

_BESIDE = ("-wal", "-shm")

T = TypeVar("T")

log = structlog.get_logger(__name__)


class MendingIndex:
    """Passes every call on to a `LocalIndex`, and replaces it when its file cannot be used.

    The new index is empty, so the indexer finds itself at progress 0 and fills it from the
    log. A damaged file is kept beside it until the next one, or until `purge`: it holds
    texts, and what is erased must leave it too. Threads may share it.
    """

    def __init__(self, path: Path, *, memory_bytes: int) -> None:
        """Opens the file, or makes it.

        Raises:
            Busy, StorageFull, Unavailable: it cannot be opened now.
        """
        self._path = path
        self._memory_bytes = memory_bytes
        self._changing = threading.Lock()
        self._model: tuple[str, int] | None = None
        self._inode = 0
        self._index: LocalIndex | None = None
        self._closed = False
        self._current()

    def close(self) -> None:
        """Closes the file."""
        with self._changing:
            self._closed = True
            if self._index is not None:
                self._index.close()

    def view(self, project_id: str) -> ProjectView:
        """Returns what is indexed of a project."""
        return self._run(lambda index: index.view(project_id))

    def similarities(
        self, view: ProjectView, model: str, query: NDArray[np.float32]
    ) -> NDArray[np.float32] | None:
        """Returns the cosine of ``query`` and each chunk, as `LocalIndex` does."""
        return self._run(lambda index: index.similarities(view, model, query))

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

        Raises:
            Unavailable: the index was begun anew since its progress was ``after_seq``; a batch
                from the middle of the log would hide all that lies before it.
        """
        index = self._current()
        try:
            if index.progress(project_id).lexical_seq < after_seq:
                raise Unavailable("the index was begun anew; take its progress again")
            index.apply(project_id, upto_seq, records, deleted)
        except Corrupt as error:
            self._replace(index, error)
            raise

    def of(self, tenant_id: str) -> MendingIndex:
        """Returns the indexes of a tenant: projects' ids alone tell them apart."""
        return self

    def pending_texts(self, limit: int) -> list[tuple[str, str]]:
        """Returns (content hash, text) of chunks that have no vector yet."""
        return self._run(lambda index: index.pending_texts(limit))

    def use_model(self, model: str, dimension: int) -> None:
        """Makes a model the one whose vectors are used, also after the file was replaced."""
        self._run(lambda index: index.use_model(model, dimension))
        self._model = (model, dimension)

    def put_vectors(self, model: str, vectors: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        """Stores vectors by content hash."""
        self._run(lambda index: index.put_vectors(model, vectors))

    def reset(self, project_id: str) -> None:
        """Empties a project and puts its progress to 0."""
        self._run(lambda index: index.reset(project_id))

    def purge(self) -> int:
        """Deletes vectors that nothing needs, and damaged files that were kept."""
        self._drop_kept()
        return self._run(lambda index: index.purge())

    def mark_dead(self, content_hash: str, reason: str) -> None:
        """Gives up on a chunk that cannot be embedded."""
        self._run(lambda index: index.mark_dead(content_hash, reason))

    def progress(self, project_id: str) -> Progress:
        """Returns how far a project is indexed."""
        return self._run(lambda index: index.progress(project_id))

    def vectors_of(
        self, project_id: str, hashes: Sequence[str], *, asker: str | None = None
    ) -> VectorBatch | None:
        """Returns the vectors of texts by their hashes, as `LocalIndex` does."""
        return self._run(lambda index: index.vectors_of(project_id, hashes, asker=asker))

    def read(self, project_ids: Sequence[str]) -> MendingReading:
        """Begins to read several projects."""
        return MendingReading(self, project_ids)

    def _run(self, act: Callable[[LocalIndex], T]) -> T:
        index = self._current()
        try:
            return act(index)
        except Corrupt as error:
            self._replace(index, error)
        except Unavailable:
            if index is self._index and self._is_there():
                raise
        return act(self._current())

    def _current(self) -> LocalIndex:
        """Returns the index of the file that is there now."""
        index = self._index
        if index is not None and self._is_there():
            return index
        with self._changing:
            if self._closed:
                raise Unavailable("the index is closed")
            index = self._index
            if index is not None and not self._is_there():
                log.warning("the index file was lost; it is built anew", file=str(self._path))
                index.close()
                index = self._index = None
            return index or self._open()

    def _is_there(self) -> bool:
        """Says whether the path still names the file that is open."""
        with suppress(OSError):
            return self._path.stat().st_ino == self._inode
        return False

    def _replace(self, damaged: LocalIndex, error: Corrupt) -> None:
        """Sets the damaged file aside; another thread may have done so already."""
        with self._changing:
            if self._index is not damaged or self._closed:
                return
            damaged.close()
            self._index = None
            self._set_aside(error)
            self._open()

    def _open(self) -> LocalIndex:
        """Opens the file, a new one if there is none or it is damaged."""
        if not self._path.exists():
            # A write-ahead log without its database would be taken for the new one's.
            self._drop_beside()
        try:
            index = LocalIndex.open(self._path, memory_bytes=self._memory_bytes)
        except Corrupt as error:
            self._set_aside(error)
            index = LocalIndex.open(self._path, memory_bytes=self._memory_bytes)
        if self._model is not None:
            index.use_model(*self._model)
        self._inode = self._path.stat().st_ino
        self._index = index
        return index

    def _set_aside(self, error: Corrupt) -> None:
        self._drop_kept()
        stamp = now().replace(":", "").replace("-", "")
        kept = self._path.with_name(f"{self._path.name}.damaged-{stamp}")
        with suppress(FileNotFoundError):
            self._path.rename(kept)
        self._drop_beside()
        log.warning("the index was damaged; it is built anew", kept=str(kept), detail=error.detail)

    def _drop_kept(self) -> None:
        for kept in self._path.parent.glob(f"{self._path.name}.damaged-*"):
            with suppress(FileNotFoundError):
                kept.unlink()

    def _drop_beside(self) -> None:
        for suffix in _BESIDE:
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).unlink()


class MendingReading:
    """Some projects of the local index as one request reads them."""

    def __init__(self, index: MendingIndex, project_ids: Sequence[str]) -> None:
        """Takes note of how far the projects are indexed."""
        self._index = index
        self._project_ids = project_ids
        self.view = index.view
        self.similarities = index.similarities
        self.progress = self._reached()

    def is_still(self) -> bool:
        """Says whether the projects are indexed as far as they were at first."""
        return self._reached() == self.progress

    def _reached(self) -> list[Progress]:
        return [self._index.progress(project_id) for project_id in self._project_ids]
