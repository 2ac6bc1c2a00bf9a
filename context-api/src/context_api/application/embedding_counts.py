"""Counts what an embedder does, for the figures of the process that runs it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from memory_core.embedding.port import Embedder, Vectors


@dataclass(slots=True)
class EmbeddingCounts:
    """Texts that were embedded to be stored, the seconds it took, and batches that failed."""

    texts: int = 0
    seconds: float = 0.0
    failures: int = 0


class CountedEmbedder:
    """An embedder whose work is counted. One thread at a time embeds to store."""

    def __init__(self, embedder: Embedder, counts: EmbeddingCounts) -> None:
        self._embedder = embedder
        self._counts = counts

    @property
    def model(self) -> str:
        """The model's name."""
        return self._embedder.model

    @property
    def dimension(self) -> int:
        """The width of a vector."""
        return self._embedder.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns the vectors of texts to be stored.

        Raises:
            EmbeddingFailed: the provider did not answer, or not with what was asked.
        """
        started = time.perf_counter()
        try:
            vectors = self._embedder.embed(texts)
        except Exception:
            self._counts.failures += 1
            raise
        self._counts.texts += len(texts)
        self._counts.seconds += time.perf_counter() - started
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Returns the vector of a question."""
        return self._embedder.embed_query(text)
