"""Any model that sentence-transformers runs: optional, on torch, from the local disk only."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memory_core.embedding.port import Vectors, model_name, normalised, storable
from memory_core.errors import EmbeddingFailed, InvalidInput, ModelMissing


class SentenceTransformersEmbedder:
    """The provider ``sentence-transformers``."""

    def __init__(self, model: str) -> None:
        """Loads a model from a folder or the local cache; nothing is downloaded.

        Args:
            model: a folder, or a name such as ``BAAI/bge-small-en-v1.5``.

        Raises:
            InvalidInput: ``model`` is empty.
            ModelMissing: the library is not installed, or the model is not on this machine.
        """
        if not model:
            raise InvalidInput("the sentence-transformers provider needs a model name or a folder")
        if importlib.util.find_spec("sentence_transformers") is None:
            raise ModelMissing(
                "sentence-transformers is not installed; "
                "install memory-context[sentence-transformers]"
            )
        library = importlib.import_module("sentence_transformers")
        try:
            self._encoder = library.SentenceTransformer(model, device="cpu", local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelMissing(f"no sentence-transformers model {model!r} here") from error
        dimension = self._encoder.encode([""]).shape[1]
        folder = Path(model)
        self.model = model_name(str(folder.resolve()) if folder.is_dir() else model)
        self.dimension = int(dimension)
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns the vectors of the texts, (len(texts), dimension)."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._lock:
            vectors = self._encoder.encode(
                [storable(text) for text in texts], show_progress_bar=False, convert_to_numpy=True
            )
        if not np.isfinite(vectors).all():
            raise EmbeddingFailed("the model gives vectors that are not finite")
        return normalised(vectors)

    def embed_query(self, text: str) -> Vectors:
        """Returns the vector of one text, (dimension,)."""
        vector: Vectors = self.embed([text])[0]
        return vector
