"""The two index stores as one test drives them: each with its own way to get vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TypeVar

from context_api.adapters.index import SqlIndexes, SqlLeases, SqlVectorWork
from context_api.adapters.index.database import Pool
from context_api.adapters.mending_index import MendingIndex
from context_api.application.index_work import Claim
from context_api.application.indexes import IndexStore
from memory_core.embedding.port import Embedder
from memory_core.ids import uuid7
from memory_core.recall.ports import IndexRecord
from memory_core.recall.prepare import embedded_texts
from tests.context_api.adapters.index.support import TENANT, IndexDatabase

MEMORY = 64 << 20

T = TypeVar("T")


class Held(Protocol):
    """A store, and what stands around it in a hub."""

    @property
    def store(self) -> IndexStore:
        """The store of one tenant."""

    def use(self, embedder: Embedder) -> None:
        """Makes a model the one in use."""

    def embed(self, records: dict[str, IndexRecord], embedder: Embedder, limit: int) -> int:
        """Embeds up to ``limit`` texts that wait, of these records; returns how many."""

    def reopen(self) -> None:
        """Begins anew over the same rows, as another process would."""


class HeldFile:
    """The embedded hub's store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.store = MendingIndex(path, memory_bytes=MEMORY)

    def use(self, embedder: Embedder) -> None:
        self.store.use_model(embedder.model, embedder.dimension)

    def embed(self, records: dict[str, IndexRecord], embedder: Embedder, limit: int) -> int:
        pending = self.store.pending_texts(limit)
        vectors = embedder.embed([text for _, text in pending])
        hashes = [content_hash for content_hash, _ in pending]
        self.store.put_vectors(embedder.model, list(zip(hashes, vectors, strict=True)))
        return len(pending)

    def reopen(self) -> None:
        self.store.close()
        self.store = MendingIndex(self._path, memory_bytes=MEMORY)


class HeldRows:
    """The shared store: a worker's calls make its vectors."""

    def __init__(self, database: IndexDatabase, pool: Pool, project_id: str) -> None:
        self._database = database
        self._pool = pool
        self._project_id = project_id
        self._embedder: Embedder | None = None
        self.reopen()

    def reopen(self) -> None:
        self.indexes = SqlIndexes(self._pool, memory_bytes=MEMORY)
        self.store: IndexStore = self.indexes.of(TENANT)
        self.work = SqlVectorWork(self.indexes)
        if self._embedder is not None:
            self.use(self._embedder)

    def use(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.indexes.use_model(embedder.model, embedder.dimension)
        self.claimed(self.work.prepare)
        self.claimed(self.work.finish)

    def embed(self, records: dict[str, IndexRecord], embedder: Embedder, limit: int) -> int:
        texts = {
            hashed.hex(): text
            for record in records.values()
            for hashed, text in embedded_texts(record).items()
        }

        def once(claim: Claim) -> int:
            self.work.prepare(claim)
            hashes = [chunk.content_hash for chunk in self.work.waiting(claim, limit)]
            vectors = embedder.embed([texts[hashed] for hashed in hashes])
            self.work.put_vectors(claim, list(zip(hashes, vectors, strict=True)))
            self.work.finish(claim)
            return len(hashes)

        return self.claimed(once)

    def claimed(self, act: Callable[[Claim], T]) -> T:
        """Does something as the holder of a claim on the project."""
        head = self.store.progress(self._project_id).lexical_seq + 1
        self._database.add_project(self._project_id, head)
        leases = SqlLeases(self.indexes)
        claim = leases.claim(uuid7())
        assert claim is not None
        done = act(claim)
        leases.release(claim, succeeded=True)
        return done


@contextmanager
def held_file() -> Iterator[HeldFile]:
    """Yields the embedded store in a folder of its own."""
    with TemporaryDirectory() as folder:
        held = HeldFile(Path(folder) / "index.db")
        try:
            yield held
        finally:
            held.store.close()
