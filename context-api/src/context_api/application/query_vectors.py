"""Vectors of questions that were asked before."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from context_api.application.caching import CacheKey, Kept, cache_key
from memory_core.embedding.port import Embedder, Vectors
from memory_core.recall.query import MAX_EMBEDDED_CHARS

QUESTIONS = 2_000
SHARED_S = 24 * 3600
CACHE = "query_vector"


class CachedQueries:
    """An embedder that remembers its last questions; texts to be stored go straight through.

    Vectors depend on model and text alone, so they are kept across writes. Threads may share it.
    """

    def __init__(self, embedder: Embedder, questions: int = QUESTIONS) -> None:
        """Wraps ``embedder``; takes about 2 KB for each of the ``questions`` (at 384 dims)."""
        self._embedder = embedder
        self._questions = questions
        self._held: OrderedDict[bytes, Vectors] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    @property
    def model(self) -> str:
        """The model's name."""
        return self._embedder.model

    @property
    def dimension(self) -> int:
        """The width of a vector."""
        return self._embedder.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns the vectors of texts to be stored."""
        return self._embedder.embed(texts)

    def embed_query(self, text: str) -> Vectors:
        """Returns the vector of a question; do not write into it.

        Raises:
            EmbeddingFailed: the provider did not answer, or not with what was asked.
        """
        held = self.held(text)
        if held is not None:
            self.hits += 1
            return held
        self.misses += 1
        vector = self._embedder.embed_query(text)
        if self._fits(vector):
            self._hold(text, vector)
        return vector

    def held(self, text: str) -> Vectors | None:
        """Returns the vector of a question if it is remembered."""
        name = _digest(text)
        with self._lock:
            vector = self._held.get(name)
            if vector is not None:
                self._held.move_to_end(name)
        return vector

    def hold(self, text: str, data: bytes) -> None:
        """Remembers the vector of a question given as float32 bytes; other bytes are ignored."""
        if len(data) == 4 * self.dimension:
            vector = np.frombuffer(data, dtype="<f4").astype(np.float32)
            if self._fits(vector):
                self._hold(text, vector)

    def _fits(self, vector: Vectors) -> bool:
        return vector.shape == (self.dimension,) and bool(np.isfinite(vector).all())

    def _hold(self, text: str, vector: Vectors) -> None:
        kept = vector.astype(np.float32, copy=True)
        kept.flags.writeable = False
        with self._lock:
            self._held[_digest(text)] = kept
            while len(self._held) > self._questions:
                self._held.popitem(last=False)


class SharedVector:
    """The vector of one question, as other processes may have it; `Beside` an answer."""

    def __init__(self, embedder: Embedder | None, tenant_id: str, query: str) -> None:
        """Asks for it only if this process has not made it before."""
        self._text = query[:MAX_EMBEDDED_CHARS]
        self._embedder = embedder if isinstance(embedder, CachedQueries) else None
        self._is_missing = False
        self._key: CacheKey | None = None
        if self._embedder is not None and self._text.strip():
            self._key = _key(self._embedder, tenant_id, self._text)

    @property
    def key(self) -> CacheKey | None:
        """What it is kept under, None where it need not be asked for."""
        embedder = self._embedder
        return self._key if embedder is not None and embedder.held(self._text) is None else None

    def take(self, value: bytes | None) -> None:
        """Takes over what another process has made."""
        if value is not None and self._embedder is not None:
            self._embedder.hold(self._text, value)
        self._is_missing = value is None and self.key is not None

    def give(self) -> Kept | None:
        """Returns what to keep once it is made, if it was not to be had."""
        vector = self._embedder.held(self._text) if self._embedder is not None else None
        if not self._is_missing or vector is None or self._key is None:
            return None
        return Kept(self._key, vector.astype("<f4").tobytes(), SHARED_S)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _key(embedder: Embedder, tenant_id: str, text: str) -> CacheKey:
    """Returns the key of a question's vector; a tenant never learns what another asked."""
    return cache_key(
        CACHE,
        f"{tenant_id}:queries",
        {
            "model": embedder.model,
            "dimension": embedder.dimension,
            "text": _digest(text).hex(),
        },
    )
