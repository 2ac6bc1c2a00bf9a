"""The port every embedding provider stands behind, and what they share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""float32; (texts, dimension) or (dimension,); every row has length 1."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_LIMIT: Final = 64


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors whose inner product is their cosine similarity.

    Implementations are synchronous and may be called from several threads at once. Any text is
    accepted, also an empty one, and gives a vector of length 1. The same text gives the same
    vector whatever stands beside it, up to rounding of float32.
    """

    @property
    def model(self) -> str:
        """The model's name: letters, digits and ``.-_``, at most 64.

        It becomes part of index and collection names. Two embedders whose vectors must not be
        compared have different names.
        """
        ...

    @property
    def dimension(self) -> int:
        """The width of a vector, known without embedding anything."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns the vectors of texts to be stored, (len(texts), dimension), in their order.

        Raises:
            EmbeddingFailed: the provider did not answer, or not with what was asked.
        """
        ...

    def embed_query(self, text: str) -> Vectors:
        """Returns the vector of a question, (dimension,).

        Raises:
            EmbeddingFailed: the provider did not answer, or not with what was asked.
        """
        ...


def normalised(vectors: NDArray[np.floating]) -> Vectors:
    """Returns the rows scaled to length 1 as float32; a zero row stays zero."""
    double = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(double, axis=-1, keepdims=True)
    return (double / np.where(lengths == 0.0, 1.0, lengths)).astype(np.float32)


def storable(text: str) -> str:
    """Returns the text without NUL and lone surrogates, which UTF-8 or tokenizers refuse."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def model_name(label: str) -> str:
    """Returns a name for ``Embedder.model`` made from a provider's own label.

    ``BAAI/bge-small:latest`` becomes ``BAAI-bge-small-latest-`` and eight hexadecimal digits of
    the label's SHA-256, so that two labels never share a name. A label that is a name already
    stays as it is.
    """
    name = _UNSAFE.sub("-", label).strip("-._")
    if name and name == label and len(name) <= _NAME_LIMIT:
        return name
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: _NAME_LIMIT - 9].rstrip('-._')}-{digest}".lstrip("-")
