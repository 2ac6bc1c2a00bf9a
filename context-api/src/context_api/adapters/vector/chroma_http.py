"""Requests to Chroma's HTTP API v2: pooled, bounded in time, repeated where that is safe.

Chroma's own client has no timeout: a stopped server would hang a search for ever. Here each
call has a deadline that covers its repetitions, and a circuit breaker in front of it.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import httpx
import orjson
from pydantic import BaseModel, ValidationError

from context_api.adapters.vector.breaker import CircuitBreaker, LeftAlone, NoAnswer
from context_api.application.vectors import CannotWrite
from memory_core.errors import ContextError, Corrupt, InvalidInput, Unavailable
from memory_core.tls import client_context

API: Final = "/api/v2"
_CONNECTIONS: Final = 40
"""As many as the hub has threads: a search never waits for another's connection."""

_KEEPALIVE_SECONDS: Final = 30.0
_LONGEST_PAUSE_SECONDS: Final = 1.0
_ANSWER_BYTES: Final = 64 * 1024 * 1024
_DETAIL_CHARACTERS: Final = 200
_SILENT: Final = frozenset({408, 429, 502, 503, 504})
"""Statuses of a server that is too busy, or of a proxy that does not reach it."""

_DAMAGED: Final = re.compile(r"finding id|hnsw", re.IGNORECASE)
_FULL: Final = re.compile(r"disk is full|no space left", re.IGNORECASE)

Model = TypeVar("Model", bound=BaseModel)


class Patience(NamedTuple):
    """How long a call may take in all, in seconds, and how often it is tried."""

    total: float
    attempts: int


class Gone(Exception):
    """What the path names is not there."""


class Broken(NoAnswer):
    """The connection broke while the server worked on the request: it may have died of it."""


class Failed(Unavailable):
    """The server answered that it cannot."""


class _Refused(Exception):
    """The server answered with an error that may pass, such as a locked database."""


class ChromaHttp:
    """Sends requests, all of them safe to repeat. Threads may share it."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        connect_timeout: float,
        breaker: CircuitBreaker,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Makes a client; nothing is sent yet.

        Raises:
            InvalidInput: the URL is not one of http or https.
        """
        base = url.rstrip("/")
        if not base.startswith(("http://", "https://")):
            raise InvalidInput("Chroma needs an http or https URL")
        self._label = _without_credentials(base)
        self._connect = connect_timeout
        self._breaker = breaker
        self._pause = pause
        self._stuck: CannotWrite | None = None
        limits = httpx.Limits(
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE_SECONDS,
        )
        # The environment's proxies are for the world outside, not for the server beside us.
        # Redirects are not followed: the token is meant for the configured host alone.
        self._client = httpx.Client(
            base_url=base,
            headers=_headers(token),
            limits=limits,
            trust_env=False,
            verify=client_context() if base.startswith("https:") else True,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        patience: Patience,
    ) -> bytes:
        """Returns the body of the answer.

        Args:
            method: of HTTP.
            path: below the API's prefix.
            body: encoded as JSON; arrays of numpy may be in it.
            patience: bounds the whole call.

        Raises:
            Gone: the path names what is not there.
            Unavailable: no answer in time, or one that says that it cannot.
            Broken: as Unavailable, and the connection broke in the middle of it.
            Corrupt: the index that was asked is damaged.
            InvalidInput: the server does not accept the request.
        """
        deadline = time.monotonic() + patience.total
        content = None if body is None else orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        with self._breaker.guard() as trial:
            if trial:
                # A search that is the trial must not wait for its whole deadline.
                self._send("GET", "/heartbeat", None, time.monotonic() + self._connect)
            return self._repeated(method, path, content, deadline, patience.attempts)

    def read(self, model: type[Model], answer: bytes) -> Model:
        """Returns an answer in its expected form.

        Raises:
            Unavailable: it has another; this is not the API of Chroma.
        """
        try:
            return model.model_validate_json(answer)
        except ValidationError as error:
            raise Unavailable(f"{self._label} does not answer as Chroma 1.x does") from error

    def explained(self, error: Unavailable) -> Unavailable:
        """Returns what a write's failure means, by whether the server answers otherwise.

        After a full disk Chroma keeps the lock of the write that failed: it goes on answering,
        and refuses every write or leaves it without an answer, until it is started again.
        """
        if not isinstance(error, Failed | NoAnswer | LeftAlone):
            return error
        try:
            self._send("GET", "/heartbeat", None, time.monotonic() + self._connect)
        except (ContextError, Gone, _Refused):
            self._stuck = None
            return error
        if not isinstance(error, LeftAlone):
            self._stuck = CannotWrite(f"Chroma answers, but takes no write: {error.detail}")
        return self._stuck or error

    def _repeated(
        self, method: str, path: str, content: bytes | None, deadline: float, attempts: int
    ) -> bytes:
        broken: Broken | None = None
        for attempt in range(1, attempts + 1):
            try:
                return self._send(method, path, content, deadline)
            except (NoAnswer, _Refused) as error:
                broken = error if isinstance(error, Broken) else broken
                pause = _backoff(attempt)
                if attempt == attempts or time.monotonic() + pause >= deadline:
                    if isinstance(error, _Refused):
                        raise Failed(str(error)) from error
                    raise broken or error from None
            self._pause(pause)
        raise NoAnswer(f"{self._label} was not asked")

    def _send(self, method: str, path: str, content: bytes | None, deadline: float) -> bytes:
        """Sends a request once. httpx bounds each wait; the deadline bounds their sum."""
        left = max(deadline - time.monotonic(), 0.001)
        connect = min(self._connect, left)
        timeout = httpx.Timeout(left, connect=connect, pool=connect)
        data = bytearray()
        try:
            with self._client.stream(
                method, API + path, content=content, timeout=timeout
            ) as response:
                for part in response.iter_raw():
                    data += part
                    if time.monotonic() > deadline or len(data) > _ANSWER_BYTES:
                        raise NoAnswer(f"{self._label} answers too slowly or too much")
        except httpx.TimeoutException as error:
            raise NoAnswer(f"{self._label} does not answer in time") from error
        except (httpx.ReadError, httpx.RemoteProtocolError) as error:
            raise Broken(f"{self._label} broke the connection") from error
        except httpx.HTTPError as error:
            raise NoAnswer(f"{self._label} does not answer: {type(error).__name__}") from error
        if not response.is_success:
            self._refuse(response.status_code, bytes(data))
        return bytes(data)

    def _refuse(self, status: int, answer: bytes) -> None:
        """Raises what an answer that is no success means."""
        said = _sentence(answer)
        if status == 404:
            raise Gone
        if status < 400:
            raise Unavailable(f"{self._label} answered {status}, which is not Chroma's")
        if status in {401, 403}:
            raise Unavailable(f"{self._label} refuses the token")
        if status in _SILENT:
            raise NoAnswer(f"{self._label} answered {status}: {said}")
        if "dimension" in said:
            raise Corrupt(f"Chroma's collection holds vectors of another dimension: {said}")
        if status < 500:
            raise InvalidInput(f"{self._label} answered {status}: {said}")
        if _FULL.search(said):
            raise Failed(f"Chroma's disk is full: {said}")
        if _DAMAGED.search(said):
            raise Corrupt(f"Chroma's index is damaged: {said}")
        raise _Refused(f"{self._label} answered {status}: {said}")


def _headers(token: str | None) -> dict[str, str]:
    found = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if token:
        # Chroma itself reads the first, proxies that guard it mostly the second.
        found |= {"X-Chroma-Token": token, "Authorization": f"Bearer {token}"}
    return found


def _without_credentials(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _backoff(attempt: int) -> float:
    longest = min(0.05 * 2.0**attempt, _LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing


def _sentence(answer: bytes) -> str:
    """Returns what an error says, fit for one line of a log."""
    text = answer[:2000].decode("utf-8", "replace")
    try:
        found = orjson.loads(answer)
    except orjson.JSONDecodeError:
        pass
    else:
        if isinstance(found, dict):
            text = str(found.get("message") or found.get("error") or text)
    return "".join(c if c.isprintable() else " " for c in text)[:_DETAIL_CHARACTERS]
