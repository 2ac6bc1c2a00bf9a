"""Vectors from a service that speaks OpenAI's ``POST /v1/embeddings``.

Also vLLM, text-embeddings-inference, Ollama, LM Studio and others answer in this form. What
they answer is checked before it is believed: count, order, dimension, finite numbers.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from memory_core.embedding.port import Vectors, model_name, normalised, storable
from memory_core.errors import EmbeddingFailed, InvalidInput

if TYPE_CHECKING:
    import httpx

_TEXTS_PER_REQUEST: Final = 128
_CHARACTERS_PER_REQUEST: Final = 200_000
_ATTEMPTS: Final = 5
_QUERY_ATTEMPTS: Final = 2
"""A search would rather answer without vectors than late."""

_LONGEST_PAUSE_SECONDS: Final = 20.0
_RETRIED: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class OpenAIEmbedder:
    """The provider ``openai``."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        dimension: int | None,
        api_key: str = "",
        timeout_seconds: float = 30.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Makes an embedder; nothing is sent until a text is embedded.

        Args:
            url: the base URL, such as ``https://host/v1``, or the endpoint itself.
            model: the model's name at the service.
            dimension: the width of its vectors; index names need it before the first answer.
            api_key: sent as a bearer token when not empty.
            timeout_seconds: of one request.
            pause: waits between attempts.

        Raises:
            InvalidInput: a value is missing or not acceptable.
        """
        base = url.rstrip("/")
        if not base.startswith(("https://", "http://")):
            raise InvalidInput("the openai provider needs an http or https URL")
        if not model:
            raise InvalidInput("the openai provider needs a model name")
        if dimension is None or not 1 <= dimension <= 65_536:
            raise InvalidInput("the openai provider needs the dimension of its vectors")
        self.model = model_name(model)
        self.dimension = dimension
        self._label = model
        self._url = base if base.endswith("/embeddings") else f"{base}/embeddings"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout = timeout_seconds
        self._pause = pause
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns the vectors of the texts, (len(texts), dimension)."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        start = 0
        for part in _requests(texts):
            vectors[start : start + len(part)] = self._ask(part, _ATTEMPTS)
            start += len(part)
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Returns the vector of one text, (dimension,)."""
        vector: Vectors = self._ask([_sendable(text)], _QUERY_ATTEMPTS)[0]
        return vector

    def close(self) -> None:
        """Closes the connections; the embedder opens new ones when used again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ask(self, texts: list[str], attempts: int) -> Vectors:
        import httpx  # noqa: PLC0415 - heavy, and only this provider needs it

        body = {"model": self._label, "input": texts}
        for attempt in range(1, attempts + 1):
            delay: float | None = None
            try:
                response = self._connected().post(self._url, json=body)
                if response.is_success:
                    return _vectors(response, len(texts), self.dimension)
                reason = f"it answered {response.status_code}"
                if response.status_code not in _RETRIED:
                    raise EmbeddingFailed(f"{self._url}: {reason}")
                delay = _retry_after(response)
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
            if attempt < attempts:
                self._pause(_delay(attempt, delay))
        raise EmbeddingFailed(f"{self._url}: {reason} ({attempts} attempts)")

    def _connected(self) -> httpx.Client:
        import httpx  # noqa: PLC0415 - heavy, and only this provider needs it

        with self._lock:
            if self._client is None:
                # Redirects are not followed: the key is meant for the configured host alone.
                self._client = httpx.Client(timeout=self._timeout, headers=self._headers)
            return self._client


def _sendable(text: str) -> str:
    """Returns the text as the service accepts it; an empty one is refused by OpenAI."""
    return storable(text) or " "


def _requests(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yields the texts in order, cut into requests of bounded size."""
    part: list[str] = []
    size = 0
    for text in texts:
        sendable = _sendable(text)
        full = len(part) == _TEXTS_PER_REQUEST or size + len(sendable) > _CHARACTERS_PER_REQUEST
        if part and full:
            yield part
            part, size = [], 0
        part.append(sendable)
        size += len(sendable)
    if part:
        yield part


def _delay(attempt: int, asked: float | None) -> float:
    """Returns the seconds before the next attempt: as asked, or doubling with jitter."""
    if asked is not None:
        return min(asked, _LONGEST_PAUSE_SECONDS)
    longest = min(0.5 * 2.0**attempt, _LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing


def _retry_after(response: httpx.Response) -> float | None:
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return seconds if seconds >= 0 else None


def _vectors(response: httpx.Response, count: int, dimension: int) -> Vectors:
    """Returns the vectors of an answer, in the order of the texts.

    Raises:
        EmbeddingFailed: the answer is not what was asked for.
    """
    try:
        data: list[dict[str, Any]] = response.json()["data"]
        rows = sorted(data, key=lambda item: item["index"])
        positions = [item["index"] for item in rows]
        vectors = np.array([item["embedding"] for item in rows], dtype=np.float64)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise EmbeddingFailed("the embedding service did not answer with embeddings") from error
    if positions != list(range(count)):
        raise EmbeddingFailed(f"asked for {count} embeddings, received others")
    if vectors.shape != (count, dimension):
        width = vectors.shape[-1]
        raise EmbeddingFailed(
            f"the service gives vectors of {width} numbers, the setting says {dimension}",
            dimension=width,
        )
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise EmbeddingFailed("the service gives vectors that are not finite, or zero")
    return normalised(vectors / lengths)
