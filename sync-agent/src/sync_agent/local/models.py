"""The embedding model of this machine, for questions asked of a replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_core.errors import ContextError
from sync_agent.config import embedding_provider, model_directory

if TYPE_CHECKING:
    from memory_core.embedding.port import Embedder

LOCAL_PROVIDERS = ("onnx", "hashing")


def installed_embedder() -> Embedder | None:
    """Returns the installed model, None if there is none that works.

    Only providers that run on this machine are used: a question about a replica never leaves it.
    """
    provider = embedding_provider()
    if provider not in LOCAL_PROVIDERS:
        return None
    try:
        if provider == "hashing":
            from memory_core.embedding.hashing import HashingEmbedder  # noqa: PLC0415

            return HashingEmbedder()
        from memory_core.embedding.onnx import OnnxEmbedder  # noqa: PLC0415

        return OnnxEmbedder.load(model_directory(), for_questions=True)
    except ContextError:
        return None
