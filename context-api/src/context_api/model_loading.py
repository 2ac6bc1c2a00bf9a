"""Loading the embedding model, ahead of its first use where that saves a wait."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from context_api.application.embedding_counts import CountedEmbedder, EmbeddingCounts
from memory_core.embedding.factory import build
from memory_core.embedding.port import Embedder

if TYPE_CHECKING:
    from context_api.settings import Settings


class ModelLoader:
    """Loads the embedder that the settings ask for, each time it is called.

    What it embeds is counted in ``counts``.
    """

    def __init__(self, settings: Settings) -> None:
        self.counts = EmbeddingCounts()
        self._settings = settings
        self._ahead: Future[Embedder] | None = None

    def begin(self) -> None:
        """Loads it in a thread for the next call; how that ends is told then."""
        executor = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._ahead = executor.submit(self._load)
        executor.shutdown(wait=False)

    def __call__(self) -> Embedder:
        """Returns the embedder.

        Raises:
            ModelMissing: the model file, or a library the provider needs, is not installed.
            ModelBroken: the installed model is damaged.
            InvalidInput: a setting that the provider needs is missing.
        """
        ahead, self._ahead = self._ahead, None
        return ahead.result() if ahead is not None else self._load()

    def _load(self) -> Embedder:
        settings = self._settings
        key = settings.embedding_api_key
        embedder = build(
            settings.embedding_provider,
            model_dir=settings.local_model,
            model=settings.embedding_model,
            dimension=settings.embedding_dimension,
            url=settings.embedding_url,
            api_key=key.get_secret_value() if key else "",
        )
        return CountedEmbedder(embedder, self.counts)
