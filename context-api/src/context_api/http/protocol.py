"""HTTP/1.1 connections with bounds that uvicorn leaves open."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from context_api.http.options import HttpOptions
from context_api.http.problem import MEDIA_TYPE, RETRY_SECONDS, problem
from memory_core.errors import Busy, ContextError, RequestTimeout
from memory_core.ids import uuid7

HEAD_BYTES = 64 * 1024

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


@dataclass(slots=True, kw_only=True)
class Bounds:
    """What the connections of one server may do, and those that wait for a request.

    ``waiting`` is in the order in which they began to wait.
    """

    options: HttpOptions = field(default_factory=HttpOptions)
    waiting: dict[BoundedProtocol, None] = field(default_factory=dict)


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose requests' heads are bounded in time and size, and its stalls in time.

    One that has sent nothing, or a part of a head, waits. Where there are too many connections
    the one that has waited longest gives way to a new one, so that those who only wait cannot
    keep others out; where all are being answered, the new one is refused. A client that reads
    nothing is cut off, so that it cannot hold an answer in memory.
    """

    bounds: ClassVar[Bounds] = Bounds()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._options = self.bounds.options
        self._wait_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._is_idle = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Waits for a first request, but not for ever, and only if there is room."""
        super().connection_made(transport)
        if len(self.connections) > self._options.max_connections and not self._make_room():
            self._refuse(Busy("all connections are in use"))
            return
        self._wait(self._options.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the timers."""
        self._end_wait()
        self._end_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses what came; a head that is still open after too much of it is refused."""
        if self._is_idle:
            self._wait(self._options.head_timeout)
        was_open = self._wait_timer is not None
        super().data_received(data)
        if not was_open or self._wait_timer is None or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            self._end_with(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Starts the time of a request's head, if its first byte did not."""
        super().on_message_begin()
        if self._wait_timer is None:
            self._wait(self._options.head_timeout)

    def on_headers_complete(self) -> None:
        """Ends the time of a request's head."""
        self._end_wait()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Waits for the next request, which may have begun to come."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            self._bound_writing()
        elif self._is_unoccupied:
            if self._wait_timer is None:
                self._wait(self._options.idle_timeout)
                self._is_idle = True
            else:
                self.bounds.waiting[self] = None

    def pause_writing(self) -> None:
        """Starts the time in which the client has to read."""
        super().pause_writing()
        self._bound_writing()

    def resume_writing(self) -> None:
        """Ends the time in which the client has to read."""
        self._end_write_timer()
        super().resume_writing()

    @property
    def _is_unoccupied(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _make_room(self) -> bool:
        """Cuts off who has waited longest; says if there was anyone."""
        for longest in self.bounds.waiting:
            longest._end_wait()  # noqa: SLF001 -- another one of its kind
            longest.transport.abort()
            return True
        return False

    def _wait(self, seconds: float) -> None:
        self._end_wait()
        self._head_bytes = 0
        self._wait_timer = self.loop.call_later(seconds, self._is_late)
        if self._is_unoccupied:
            self.bounds.waiting[self] = None

    def _end_wait(self) -> None:
        self._is_idle = False
        self.bounds.waiting.pop(self, None)
        if self._wait_timer is not None:
            self._wait_timer.cancel()
            self._wait_timer = None

    def _is_late(self) -> None:
        self._wait_timer = None
        if not self._is_unoccupied:
            self.cycle.keep_alive = False
        elif self._head_bytes:
            self._refuse(RequestTimeout("the head of the request did not arrive in time"))
        else:
            self._end_with(b"")

    def _refuse(self, error: ContextError) -> None:
        """Answers with a problem, as the application would, and closes."""
        body = orjson.dumps(problem(error, uuid7()))
        head = [
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
            f"content-type: {MEDIA_TYPE}",
            f"content-length: {len(body)}",
            "connection: close",
        ]
        if isinstance(error, Busy):
            head.append(f"retry-after: {RETRY_SECONDS[Busy]}")
        self._end_with("\r\n".join([*head, "", ""]).encode() + body)

    def _end_with(self, answer: bytes) -> None:
        self._end_wait()
        self.transport.write(answer)
        self.transport.close()
        self._bound_writing()

    def _bound_writing(self) -> None:
        """Cuts the connection off if what is left to write is not read in time."""
        if self._write_timer is None and self.transport.get_write_buffer_size():
            self._write_timer = self.loop.call_later(
                self._options.write_timeout, self.transport.abort
            )

    def _end_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def bounded(options: HttpOptions) -> type[BoundedProtocol]:
    """Returns the connections of one server, which bound each other."""

    class Bounded(BoundedProtocol):
        """A connection of one server."""

        bounds: ClassVar[Bounds] = Bounds(options=options)

    return Bounded
