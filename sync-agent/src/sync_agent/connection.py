"""One HTTP/1.1 connection to the hub, kept open between requests.

It stands on the standard library: a first request through it costs a new process some 40 ms,
a fifth of what a full HTTP library takes to load, and `memctx` is started all the time.
Redirects are never followed: they would carry the key to another place.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sync_agent.errors import BrokenAnswer
from sync_agent.url import HubUrl

BodySource: TypeAlias = bytes | Iterable[bytes] | None

CONNECT_SECONDS = 5.0
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    ``target`` is the path below the hub's address with its query, encoded. A body that is an
    iterable is sent in chunks, and only once. ``seconds`` bounds each wait for bytes.
    ``repeatable`` says whether doing it twice is the same as doing it once.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: BodySource = None
    seconds: float
    repeatable: bool = True


class SendFailed(Exception):
    """A request got no answer.

    ``sent`` says whether the hub may have received it; ``timeout`` whether it was too slow.
    """

    def __init__(self, reason: str, *, sent: bool, timeout: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent
        self.timeout = timeout


class Reply:
    """An answer whose body is still to be read; close it, or read it to its end.

    ``received`` counts the bytes of the body that have been read so far, as they travelled.
    """

    def __init__(self, response: http.client.HTTPResponse, connection: Connection) -> None:
        self._response = response
        self._connection = connection
        self._complete = False
        self.received = 0
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    def read(self, limit: int) -> bytes:
        """Returns the whole body.

        Raises:
            BrokenAnswer: the body is longer than ``limit`` bytes or ends too early.
        """
        try:
            return b"".join(self._pieces(limit))
        finally:
            self.close()

    def pieces(self) -> Iterator[bytes]:
        """Yields the body as it arrives.

        Raises:
            BrokenAnswer: the connection ended before the body did.
        """
        yield from self._pieces(None)

    def close(self) -> None:
        """Gives the connection back; one with an unread body cannot be used again."""
        self._response.close()
        if not self._complete:
            self._connection.close()

    def _pieces(self, limit: int | None) -> Iterator[bytes]:
        try:
            while piece := self._response.read1(PIECE_BYTES):
                self.received += len(piece)
                if limit is not None and self.received > limit:
                    raise BrokenAnswer(f"the hub's answer is longer than {limit} bytes")
                yield piece
        except (http.client.HTTPException, OSError) as error:
            raise _cut() from error
        if self._response.length:
            raise _cut()
        self._complete = True


class Connection:
    """Sends requests to one hub, one at a time."""

    def __init__(self, url: HubUrl, *, ca_file: Path | None = None) -> None:
        self._url = url
        self._ca_file = ca_file
        self._http: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Closes the connection; the next request opens a new one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def send(self, request: Request) -> Reply:
        """Sends one request and returns the answer once its head is there.

        Raises:
            SendFailed: no connection, no answer in time, or a broken one.
        """
        connection = self._open()
        if connection.sock is not None:
            connection.sock.settimeout(request.seconds)
        try:
            self._write(connection, request)
            return Reply(connection.getresponse(), self)
        except TimeoutError as error:
            self.close()
            raise SendFailed("no answer in time", sent=True, timeout=True) from error
        except (http.client.HTTPException, OSError) as error:
            self.close()
            reason = str(error) or type(error).__name__
            raise SendFailed(reason, sent=True) from error

    def _write(self, connection: http.client.HTTPConnection, request: Request) -> None:
        target = self._url.prefix + request.target
        try:
            connection.request(request.method, target, request.body, dict(request.headers))
        except (BrokenPipeError, ConnectionResetError):
            # A hub that refuses a long body answers and closes while it is still being sent:
            # the answer says why, so it is read if there is one.
            if request.body is None:
                raise

    def _open(self) -> http.client.HTTPConnection:
        if self._http is not None and self._http.sock is not None:
            readable, _, _ = select.select([self._http.sock], [], [], 0)
            if not readable:
                return self._http
        self.close()
        connection = self._new()
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            timeout = isinstance(error, TimeoutError)
            raise SendFailed(_reason(error), sent=False, timeout=timeout) from error
        self._http = connection
        return connection

    def _new(self) -> http.client.HTTPConnection:
        url = self._url
        if url.scheme == "http":
            return http.client.HTTPConnection(url.host, url.port, timeout=CONNECT_SECONDS)
        from memory_core.tls import client_context  # noqa: PLC0415 - only for another machine

        context = client_context(self._ca_file)
        return http.client.HTTPSConnection(
            url.host, url.port, timeout=CONNECT_SECONDS, context=context
        )


def _cut() -> BrokenAnswer:
    error = BrokenAnswer("the hub's answer ended before it was complete")
    error.cut = True
    return error


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    with contextlib.suppress(ImportError):
        import ssl  # noqa: PLC0415

        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({error.verify_message})"
    return error.strerror or str(error) or type(error).__name__
