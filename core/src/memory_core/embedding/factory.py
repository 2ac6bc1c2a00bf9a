"""Choosing the embedding provider: by name, never by what happens to work."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, get_args

from memory_core.embedding.port import Embedder
from memory_core.errors import InvalidInput

Provider = Literal["onnx", "openai", "sentence-transformers", "hashing"]
PROVIDERS: Final[tuple[str, ...]] = get_args(Provider)

DEFAULT_TIMEOUT_SECONDS: Final = 30.0


def build(
    provider: str,
    *,
    model_dir: Path,
    model: str = "",
    dimension: int | None = None,
    threads: int | None = None,
    url: str = "",
    api_key: str = "",
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> Embedder:
    """Returns the embedder that the settings ask for, ready to use.

    Args:
        provider: one of `PROVIDERS`.
        model_dir: ``onnx``: the folder of the installed model.
        model: ``openai``: the model's name there; ``sentence-transformers``: a folder, or a
            name in the local cache.
        dimension: ``openai``: the width of its vectors; ``hashing``: 384 when not given.
        threads: ``onnx``: threads of one run; chosen from the cores when not given.
        url: ``openai``: the base URL, such as ``https://host/v1``.
        api_key: ``openai``: sent as a bearer token when not empty.
        timeout_seconds: ``openai``: of one request.

    Raises:
        ModelMissing: the model file, or a library the provider needs, is not installed.
        ModelBroken: the installed model is damaged.
        InvalidInput: no such provider, or a setting that it needs is missing.
    """
    match provider:
        case "onnx":
            from memory_core.embedding.onnx import OnnxEmbedder  # noqa: PLC0415

            return OnnxEmbedder.load(model_dir, threads=threads)
        case "openai":
            from memory_core.embedding.openai import OpenAIEmbedder  # noqa: PLC0415

            return OpenAIEmbedder(
                url, model, dimension=dimension, api_key=api_key, timeout_seconds=timeout_seconds
            )
        case "sentence-transformers":
            from memory_core.embedding.sentence_transformers import (  # noqa: PLC0415
                SentenceTransformersEmbedder,
            )

            return SentenceTransformersEmbedder(model)
        case "hashing":
            from memory_core.embedding.hashing import HashingEmbedder  # noqa: PLC0415

            return HashingEmbedder(dimension or HashingEmbedder.DEFAULT_DIMENSION)
        case _:
            raise InvalidInput(
                f"there is no embedding provider {provider!r}; choose {', '.join(PROVIDERS)}"
            )
