"""Corpora in a local index, with vectors that are computed once and kept in a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recall_corpora import Corpus

from memory_core.embedding.factory import build
from memory_core.embedding.port import Embedder
from memory_core.local_index import LocalIndex

MODEL = Path(__file__).parents[1] / ".memctx-data/models/all-MiniLM-L6-v2"
BATCH = 64


class CachedEmbedder:
    """An embedder that never embeds a text twice, not even in the next run."""

    def __init__(self, inner: Embedder, folder: Path | None) -> None:
        self._inner = inner
        self.model, self.dimension = inner.model, inner.dimension
        self._file = folder / f"vectors-{inner.model}.npz" if folder else None
        self._known: dict[str, NDArray[np.float32]] = {}
        if self._file and self._file.exists():
            with np.load(self._file) as stored:
                self._known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Returns the vectors, computing those that are not kept."""
        keys = [hashlib.blake2b(text.encode("utf-8", "replace")).hexdigest()[:32] for text in texts]
        new = {k: t for k, t in zip(keys, texts, strict=True) if k not in self._known}
        if new:
            self._known.update(zip(new, self._inner.embed(list(new.values())), strict=True))
        return np.stack([self._known[key] for key in keys])

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Returns the vector of one text."""
        return self.embed([text])[0]

    def save(self) -> None:
        """Keeps the vectors for the next run."""
        if self._file and self._known:
            np.savez(self._file, keys=list(self._known), vectors=list(self._known.values()))


def load_embedder(model_dir: Path, cache: Path | None) -> CachedEmbedder:
    return CachedEmbedder(build("onnx", model_dir=model_dir), cache)


def fill(index: LocalIndex, corpus: Corpus, embedder: CachedEmbedder | None) -> None:
    """Indexes a corpus as the hub does: words first, then vectors in batches."""
    records = corpus.records()
    for start in range(0, len(records), 500):
        part = records[start : start + 500]
        index.apply(corpus.project_id, part[-1].seq, part, [])
    embed_pending(index, embedder)


def embed_pending(index: LocalIndex, embedder: CachedEmbedder | None) -> None:
    while embedder is not None and (pending := index.pending_texts(BATCH)):
        vectors = embedder.embed([text for _, text in pending])
        hashes = [content_hash for content_hash, _ in pending]
        index.put_vectors(embedder.model, list(zip(hashes, vectors, strict=True)))
