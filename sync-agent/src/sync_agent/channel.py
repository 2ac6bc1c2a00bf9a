"""Requests to the hub: encoding, bounded retries, and problems as errors."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from memory_core.errors import ContextError, InvalidInput
from memory_core.ids import uuid7
from sync_agent.compression import pack_into, unpacked
from sync_agent.connection import BodySource, Connection, Reply, Request, SendFailed
from sync_agent.errors import BrokenAnswer, HubTimeout, HubUnreachable, NotAHub, from_problem
from sync_agent.url import HubUrl
from sync_agent.wire import Query, encode, retry_after, target

if TYPE_CHECKING:
    from pydantic import JsonValue

API = "/api/v1"
READ_SECONDS = 30.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_PASSING = frozenset({"busy", "unavailable", "rate_limited"})


@dataclass(frozen=True, slots=True)
class Retry:
    """How long one request is tried again: waits of ``first``, 2 x, 4 x … ``cap`` seconds.

    ``budget`` bounds the seconds from the first try to the start of the last.
    """

    budget: float = 2.0
    first: float = 0.1
    cap: float = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer (``body``: None if there was none), and the bytes of both bodies."""

    status: int
    headers: Mapping[str, str]
    body: JsonValue
    sent: int = 0
    received: int = 0


class _NotNow(NamedTuple):
    """Why a request is not served yet, and the seconds to wait at least."""

    failure: ContextError
    least: float


class Channel:
    """Sends requests to one hub with one key.

    ``on_wait`` is told the reason and the seconds before each wait, so that a person can be
    shown why nothing happens.
    """

    def __init__(
        self,
        url: HubUrl,
        api_key: str | None,
        *,
        retry: Retry | None = None,
        ca_file: Path | None = None,
        on_wait: Callable[[str, float], None] | None = None,
    ) -> None:
        self.url = url
        self._api_key = api_key
        self._retry = retry or Retry()
        self._connection = Connection(url, ca_file=ca_file)
        self._on_wait = on_wait

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: JsonValue = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = READ_SECONDS,
        repeatable: bool = True,
        packed: bool = False,
    ) -> Answer:
        """Sends a request and returns its answer.

        A POST carries an ``Idempotency-Key``, so that sending it twice does it once.
        ``repeatable`` False is for what must not be sent again once it may have arrived.
        ``packed`` compresses what is sent, where it is long, and asks for the answer compressed.

        Raises:
            ContextError: what the hub answered, by its code.
            HubUnreachable: no answer within the retry budget.
            NotAHub: something else answers at this address.
        """
        content = None if body is None and method != "POST" else encode(body)
        head = self._headers(headers)
        if content is not None:
            head.setdefault("Content-Type", "application/json")
        if packed:
            content = pack_into(head, content)
        if method == "POST":
            head.setdefault("Idempotency-Key", uuid7())
        request = Request(
            method=method,
            target=target(path, query),
            headers=head,
            body=content,
            seconds=seconds,
            repeatable=repeatable,
        )
        return self._whole(request)

    def _whole(self, request: Request) -> Answer:
        """Returns an answer that was read to its end; one that a dying hub cut is asked again."""
        end = time.monotonic() + self._retry.budget
        while True:
            reply = self._send(request)
            try:
                body = self._decode(reply)
                sent = len(request.body) if isinstance(request.body, bytes) else 0
                return Answer(reply.status, reply.headers, body, sent, reply.received)
            except BrokenAnswer as error:
                if not error.cut or not request.repeatable or time.monotonic() >= end:
                    raise
                time.sleep(self._retry.first)

    def look(self, path: str, *, seconds: float = READ_SECONDS) -> Answer:
        """Asks once with GET and returns the JSON answer whatever its status says.

        Raises:
            HubUnreachable: no answer.
            NotAHub: the answer is no JSON.
        """
        request = Request(
            method="GET",
            target=path,
            headers=self._headers(None),
            body=None,
            seconds=seconds,
            repeatable=True,
        )
        try:
            reply = self._connection.send(request)
        except SendFailed as error:
            raise self._unreachable(error) from error
        try:
            body = json.loads(reply.read(MAX_ANSWER_BYTES))
        except ValueError as error:
            raise NotAHub(f"{self.url} answers {reply.status}, not as a hub does") from error
        return Answer(reply.status, reply.headers, body)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: BodySource = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = READ_SECONDS,
        repeatable: bool | None = None,
    ) -> Iterator[Reply]:
        """Sends a request whose body, answer or both are read piece by piece.

        Until its answer begins a GET, or what is said to be ``repeatable``, is tried again; the
        rest only if there was no connection. ``seconds`` bounds each silence, not the whole.
        """
        request = Request(
            method=method,
            target=target(path, query),
            headers=self._headers(headers),
            body=body,
            seconds=seconds,
            repeatable=method == "GET" if repeatable is None else repeatable,
        )
        reply = self._send(request)
        try:
            if reply.status >= 300:
                self._decode(reply)
            yield reply
        finally:
            reply.close()

    def _headers(self, more: Mapping[str, str] | None) -> dict[str, str]:
        head = {"Accept": "application/json", "User-Agent": "memory-context"}
        if self._api_key:
            head["Authorization"] = f"Bearer {self._api_key}"
        return head | dict(more or {})

    def _send(self, request: Request) -> Reply:
        start = time.monotonic()
        delay = self._retry.first
        while True:
            outcome = self._try(request)
            if isinstance(outcome, Reply):
                return outcome
            wait = max(delay * (0.5 + os.urandom(1)[0] / 510), outcome.least)
            if time.monotonic() - start + wait > self._retry.budget:
                raise outcome.failure
            if self._on_wait is not None:
                self._on_wait(outcome.failure.detail, wait)
            time.sleep(wait)
            delay = min(delay * 2, self._retry.cap)

    def _try(self, request: Request) -> Reply | _NotNow:
        """Returns the answer, or why there is none yet.

        Raises:
            ContextError: trying again is of no use, or could do it twice.
        """
        try:
            reply = self._connection.send(request)
        except SendFailed as error:
            failure = self._unreachable(error)
            if error.sent and not request.repeatable:
                raise failure from error
            return _NotNow(failure, 0.0)
        replayable = isinstance(request.body, bytes | None)
        passing = {429, 503} | ({502, 504} if request.repeatable else set())
        if not replayable or reply.status not in passing:
            return reply
        return self._refusal(reply)

    def _unreachable(self, error: SendFailed) -> HubUnreachable:
        kind = HubTimeout if error.timeout else HubUnreachable
        return kind(f"no answer from {self.url}: {error}")

    def _refusal(self, reply: Reply) -> _NotNow:
        """Returns why the hub would not serve now, and the seconds it asks to wait.

        Raises:
            ContextError: waiting does not mend it (no model installed, say).
        """
        least = retry_after(reply.headers.get("retry-after"))
        try:
            self._decode(reply)
        except NotAHub:
            # A proxy in front of a hub that restarts answers in its own words.
            failure = HubUnreachable(f"{self.url} answers {reply.status}")
            return _NotNow(failure, least or 0.0)
        except ContextError as error:
            if least is None and error.code not in _PASSING:
                raise
            if least is not None:
                error.extra.setdefault("retry_after", least)
            return _NotNow(error, least or 0.0)
        raise NotAHub(f"{self.url} answers {reply.status} without a problem document")

    def _decode(self, reply: Reply) -> JsonValue:
        status, kind = reply.status, reply.headers.get("content-type", "")
        if 300 <= status < 400:
            reply.close()
            raise NotAHub(f"{self.url} redirects; set MEMCTX_URL to the hub's own address")
        content = unpacked(reply.read(MAX_ANSWER_BYTES), reply.headers, MAX_ANSWER_BYTES)
        if not content and status < 300:
            return None
        stranger = NotAHub(
            f"{self.url} answers {status} {kind.partition(';')[0] or 'without a type'},"
            " not as a memory-context hub does"
        )
        try:
            value: JsonValue = json.loads(content)
        except ValueError as error:
            raise stranger from error
        if "json" not in kind:
            raise stranger
        if status < 400:
            return value
        if isinstance(value, dict) and "code" in value:
            raise from_problem(status, value)
        raise stranger


def segment(text: str) -> str:
    """Returns ``text`` as one encoded part of a path.

    Raises:
        InvalidInput: it is empty or a dotted path, which a proxy would resolve.
    """
    if text in {"", ".", ".."}:
        raise InvalidInput("an id is needed")
    return quote(text, safe="")
