"""Embedding a batch of texts so that one bad text holds up no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from memory_core.embedding.port import Embedder
from memory_core.errors import ContextError

NOT_FINITE = "the embedder gave numbers that are not finite"


@dataclass(slots=True)
class Embedded:
    """Vectors by content hash, and the reasons of texts that cannot be embedded."""

    vectors: list[tuple[str, NDArray[np.float32]]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, content_hash: str, vector: NDArray[np.float32]) -> None:
        """Takes a vector unless it is none."""
        if np.isfinite(vector).all():
            self.vectors.append((content_hash, vector))
        else:
            self.failed[content_hash] = NOT_FINITE


def embed(embedder: Embedder, texts: Sequence[tuple[str, str]]) -> Embedded:
    """Embeds (content hash, text) pairs, one by one if the batch as a whole fails.

    Raises:
        ContextError: most of the texts fail, so it is the embedder that is down.
    """
    done = Embedded()
    try:
        vectors = embedder.embed([text for _, text in texts])
    except ContextError:
        if len(texts) == 1:
            raise
        return _singly(embedder, texts)
    for (content_hash, _), vector in zip(texts, vectors, strict=True):
        done.add(content_hash, vector)
    return done


def _singly(embedder: Embedder, texts: Sequence[tuple[str, str]]) -> Embedded:
    done = Embedded()
    for content_hash, text in texts:
        try:
            done.add(content_hash, embedder.embed([text])[0])
        except ContextError as error:
            done.failed[content_hash] = f"{error.code}: {error.detail}"
            if len(done.failed) > len(texts) // 2:
                raise
    return done
