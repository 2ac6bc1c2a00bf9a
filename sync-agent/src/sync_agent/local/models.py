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
    from memory_core.embedding.factory import build  # noqa: PLC0415 - many calls embed nothing

    try:
        return build(provider, model_dir=model_directory())
    except ContextError:
        return None
