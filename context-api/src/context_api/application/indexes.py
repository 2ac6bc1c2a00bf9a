"""The indexes as use cases see them: what they hold, how far they are, what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from context_api.application.vectors import RESTART_CHROMA, CannotWrite
from memory_core.embedding.port import Embedder
from memory_core.errors import ContextError
from memory_core.recall.ports import DenseIndex, IndexRecord, LexicalIndex, Progress
from memory_core.records import Document, Ref
from memory_core.sync.vectors import VectorBatch

INSTALL_MODEL = "memctx model install"
ASK_DOCTOR = "memctx doctor"
WAIT = "vectors are still being made; memctx status shows how many wait"


class IndexReading(LexicalIndex, DenseIndex, Protocol):
    """Some projects' indexes as one request reads them."""

    @property
    def progress(self) -> Sequence[Progress]:
        """How far each project was indexed when the reading began."""

    def is_still(self) -> bool:
        """Says whether all that was read so far is of the moment of `progress`."""


class IndexStore(LexicalIndex, DenseIndex, Protocol):
    """The indexes of one tenant's projects. Synchronous: called from threads."""

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
            Unavailable: the progress is below ``after_seq``, where the batch begins.
        """

    def reset(self, project_id: str) -> None:
        """Empties a project and puts its progress to 0."""

    def progress(self, project_id: str) -> Progress:
        """Returns how far a project is indexed."""

    def read(self, project_ids: Sequence[str]) -> IndexReading:
        """Begins to read several projects: what was applied before the call is in their views."""

    def vectors_of(
        self, project_id: str, hashes: Sequence[str], *, asker: str | None = None
    ) -> VectorBatch | None:
        """Returns the vectors of texts of a project by their hashes (hex), those that there are.

        Texts of somebody else's PRIVATE records are left out. None where there is no model.
        """


class VectorQueue(Protocol):
    """What waits to be embedded, of all projects of one file. Synchronous: called from threads."""

    def pending_texts(self, limit: int) -> list[tuple[str, str]]:
        """Returns (content hash, text) of chunks that have no vector yet."""

    def put_vectors(self, model: str, vectors: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        """Stores vectors by content hash."""

    def mark_dead(self, content_hash: str, reason: str) -> None:
        """Gives up on a chunk that cannot be embedded."""

    def purge(self) -> int:
        """Deletes vectors that nothing needs; returns how many."""


class IndexStores(Protocol):
    """The indexes of every tenant."""

    def of(self, tenant_id: str) -> IndexStore:
        """Returns the indexes of a tenant."""

    def use_model(self, model: str, dimension: int) -> None:
        """Makes a model the one whose vectors are used, and waited for. Called from a thread."""


def _absence(error: ContextError) -> Document:
    mend = RESTART_CHROMA if isinstance(error, CannotWrite) else ASK_DOCTOR
    return {"part": "vector", "reason": error.detail, "mend": mend}


@dataclass(slots=True)
class IndexerState:
    """What the indexer last did, so that health can tell work from standing still."""

    last_success_at: str | None = None
    last_error: str | None = None
    failures: int = 0
    alive: bool = True
    has_removed: bool = False


@dataclass(slots=True, kw_only=True)
class Indexes:
    """The indexes, the embedder if there is one, and why not if there is none.

    ``away`` tells why the vector server does not answer, if there is one and it does not.
    """

    stores: IndexStores
    load_embedder: Callable[[], Embedder]
    embedder: Embedder | None = None
    missing: ContextError | None = None
    away: ContextError | None = None
    state: IndexerState = field(default_factory=IndexerState)
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def try_embedder(self) -> bool:
        """Loads the embedder if it is not there yet; says if it is now.

        A model that is installed while the hub runs is found by the indexer's next look.
        """
        if self.embedder is not None:
            return True
        try:
            embedder = self.load_embedder()
            self.stores.use_model(embedder.model, embedder.dimension)
        except ContextError as error:
            self.missing = error
            return False
        self.embedder, self.missing = embedder, None
        return True

    def lock(self, project_id: str) -> asyncio.Lock:
        """Returns the lock under which one project's words are indexed."""
        return self.locks.setdefault(project_id, asyncio.Lock())

    def of(self, tenant_id: str) -> IndexStore:
        """Returns the indexes of a tenant."""
        return self.stores.of(tenant_id)

    async def progress(self, tenant_id: str, project_id: str) -> Progress:
        """Returns how far a project is indexed."""
        return await asyncio.to_thread(self.of(tenant_id).progress, project_id)

    def degraded(self) -> list[str]:
        """Returns the parts of recall that are missing from every answer."""
        return [] if self.embedder is not None and self.away is None else ["vector"]

    def degraded_report(self) -> list[JsonValue]:
        """Returns what is missing with the command that mends it."""
        if self.embedder is not None:
            return [_absence(self.away)] if self.away is not None else []
        reason = self.missing.detail if self.missing else "no embedding model is installed"
        return [{"part": "vector", "reason": reason, "mend": INSTALL_MODEL}]

    def mend(self, *, waiting: bool) -> str:
        """Returns what helps who got an answer without vectors; ``waiting``: some are not made."""
        if self.embedder is None:
            return INSTALL_MODEL
        return WAIT if waiting and self.away is None else ASK_DOCTOR

    def model_report(self) -> Document:
        """Returns the embedding model's name, width and state."""
        if self.embedder is None:
            return {"name": None, "dimension": None, "state": "missing"}
        return {
            "name": self.embedder.model,
            "dimension": self.embedder.dimension,
            "state": "ready",
        }

    def indexer_report(self) -> Document:
        """Returns when the indexer last succeeded and what it last failed on."""
        return {
            "ok": self.state.alive and self.state.failures == 0,
            "last_success_at": self.state.last_success_at,
            "last_error": self.state.last_error,
        }
