"""Bounds on request bodies, enforced before anything is parsed or built from them."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from context_api.http.access import STREAMED_PATHS
from context_api.http.options import MIB, HttpOptions
from memory_core.errors import (
    BadRequest,
    PayloadTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)

MAX_RATIO = 100
RATIO_FREE_BYTES = MIB
PIECE_BYTES = 256 * 1024
LINGER_SECONDS = 2.0

_GZIP = 16 + zlib.MAX_WBITS


class BodyLimits:
    """ASGI middleware that bounds the size, the time and the packing of request bodies.

    A body that is too large is refused by its declared length, else at the byte that passes
    the limit; memory stays constant either way. An answer that leaves before the body has
    come closes the connection, after a moment in which the client can still read it.
    """

    def __init__(self, app: ASGIApp, options: HttpOptions) -> None:
        self.app = app
        self.options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes an HTTP request on with a receive that keeps the bounds."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(scope, receive, self.options)
        closing = False

        async def answer(message: Message) -> None:
            nonlocal closing
            if message["type"] == "http.response.start" and body.is_left_over:
                closing = True
                MutableHeaders(raw=message["headers"])["connection"] = "close"
            if closing and not message.get("more_body") and message["type"].endswith("body"):
                await send({**message, "more_body": True})
                await body.linger()
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await send(message)

        await self.app(scope, body.receive, answer)


class _Body:
    """A request body as it arrives: counted, timed, unpacked."""

    def __init__(self, scope: Scope, receive: Receive, options: HttpOptions) -> None:
        headers = Headers(scope=scope)
        streamed = scope["path"] in STREAMED_PATHS
        loop = asyncio.get_running_loop()
        self._receive = receive
        self._idle = options.body_idle_timeout
        self._deadline = None if streamed else loop.time() + options.body_timeout
        self._limit = None if streamed else options.max_body_bytes
        self._declared = _length(headers)
        self._expects = "expect" in headers
        self._encoding = headers.get("content-encoding", "identity").strip().lower()
        self._unpacker: _Gzip | None = None
        self._seen = 0
        self._given = 0
        self._complete = self._declared == 0
        self._ready: deque[Message] = deque()

    @property
    def is_left_over(self) -> bool:
        """Says if the body has not been read to its end."""
        return not self._complete

    async def receive(self) -> Message:
        """Returns the next piece of the body, at most as large as it came or unpacked."""
        if self._complete and self._unpacker is None:
            return await self._receive()
        if self._seen == 0:
            self._check_declared()
        while True:
            if self._unpacker is not None and (piece := self._unpacker.piece()):
                return self._give(piece, more=True)
            if self._complete:
                if self._unpacker is not None:
                    self._unpacker.finish()
                    self._unpacker = None
                return self._give(b"", more=False)
            message = await self._next()
            if message["type"] != "http.request":
                return message
            data = message.get("body", b"")
            self._seen += len(data)
            self._complete = not message.get("more_body", False)
            if self._unpacker is None:
                return self._give(data, more=not self._complete)
            self._unpacker.feed(data)

    def _give(self, data: bytes, *, more: bool) -> Message:
        self._given += len(data)
        self._check_size(self._given)
        return {"type": "http.request", "body": data, "more_body": more}

    def _check_declared(self) -> None:
        if self._encoding in {"gzip", "x-gzip"}:
            self._unpacker = self._unpacker or _Gzip()
        elif self._encoding not in {"identity", ""}:
            raise UnsupportedMediaType("send the body as it is, or with Content-Encoding: gzip")
        self._check_size(self._declared or 0)

    def _check_size(self, size: int) -> None:
        if self._limit is not None and size > self._limit:
            raise PayloadTooLarge(f"the body is larger than {self._limit} bytes")

    async def _next(self) -> Message:
        wait = self._idle
        if self._deadline is not None:
            wait = min(wait, self._deadline - asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(wait):
                return await self._receive()
        except TimeoutError as error:
            raise RequestTimeout("the body did not arrive in time") from error

    async def linger(self) -> None:
        """Reads on for a moment and forgets, so that a client which still sends gets the answer.

        Closing with unread bytes makes the kernel reset the connection, and the client may
        lose an answer that it has not read yet.
        """
        if self._expects and self._seen == 0:
            return
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._complete:
                    message = await self._receive()
                    self._complete = not message.get("more_body", False)
        except TimeoutError:
            return


class _Gzip:
    """Unpacks gzip piece by piece, refusing what grows out of proportion."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._waiting = b""
        self._packed = 0
        self._unpacked = 0

    def feed(self, data: bytes) -> None:
        """Takes bytes as they came."""
        self._packed += len(data)
        self._waiting += data

    def piece(self) -> bytes:
        """Returns up to 256 KiB of what was packed, empty when more input is needed."""
        while self._waiting:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            try:
                piece = self._member.decompress(self._waiting, PIECE_BYTES)
            except zlib.error as error:
                raise BadRequest("the body is not gzip") from error
            self._waiting = self._member.unused_data or self._member.unconsumed_tail
            self._unpacked += len(piece)
            if self._unpacked > max(RATIO_FREE_BYTES, MAX_RATIO * self._packed):
                raise PayloadTooLarge(f"the body unpacks to more than {MAX_RATIO} times its size")
            if piece:
                return piece
        return b""

    def finish(self) -> None:
        """Raises `BadRequest` if the packed data ended too early."""
        if not self._member.eof:
            raise BadRequest("the gzip data ends too early")


def _length(headers: Headers) -> int | None:
    """Returns the declared length of the body, None when it comes in chunks."""
    if "transfer-encoding" in headers:
        return None
    declared = headers.get("content-length", "0")
    return int(declared) if declared.isascii() and declared.isdigit() else 0
