"""Drives ASGI applications and raw sockets for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message


@dataclass
class Answered:
    """What an application sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def call(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/",
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: Iterable[bytes] | AsyncIterator[bytes] = (),
    **scope: Any,
) -> Answered:
    """Sends one request, its body piece by piece, and collects the answer."""
    waiting = _pieces(body)
    ended = asyncio.Event()
    answered = Answered()

    async def receive() -> Message:
        if ended.is_set():
            await asyncio.Event().wait()
        try:
            piece = await anext(waiting)
        except StopAsyncIteration:
            ended.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            answered.headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}
        else:
            answered.body += message.get("body", b"")
            answered.complete = not message.get("more_body", False)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    await app(
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": raw,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            **scope,
        },
        receive,
        send,
    )
    return answered


async def _pieces(body: Iterable[bytes] | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, AsyncIterator):
        async for piece in body:
            yield piece
    else:
        for piece in body:
            yield piece
