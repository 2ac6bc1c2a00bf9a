"""Events as they happen, by server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from context_api.application import authenticate
from context_api.application.services import Services
from context_api.domain.caller import Caller
from context_api.http.options import HttpOptions
from memory_core.errors import ContextError, Unauthorized
from memory_core.records import Document

PING = b": ping\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What ends a stream from our side: the key loses its rights, or the hub stops."""

    services: Services
    caller: Caller
    token: str
    stopping: asyncio.Event
    options: HttpOptions

    async def still_allowed(self) -> bool:
        """Says whether the key still gives the rights the stream was opened with."""
        try:
            now = await authenticate.authenticate(self.services, self.token)
        except Unauthorized:
            return False
        same_reach = now.project_ids == self.caller.project_ids
        return same_reach and now.tenant_id == self.caller.tenant_id


class EventStream(Response):
    """Writes events one by one, so that a slow reader holds one event and no queue.

    The next event is fetched when the one before is on its way. A comment is sent when
    nothing else was for a while; the key is looked at again every few seconds.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[Document], watch: Watch) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until the reader leaves, the key ends or the hub stops."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        ends = [
            asyncio.create_task(_disconnected(receive)),
            asyncio.create_task(self._watch.stopping.wait()),
            asyncio.create_task(self._disallowed()),
        ]
        fetching: asyncio.Task[Document | None] | None = None
        try:
            await send({"type": "http.response.body", "body": PING, "more_body": True})
            while True:
                fetching = fetching or asyncio.create_task(self._next())
                done, _ = await asyncio.wait(
                    [fetching, *ends],
                    timeout=self._watch.options.ping_interval,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if any(end in done for end in ends):
                    break
                chunk = PING
                if fetching in done:
                    event, fetching = fetching.result(), None
                    if event is None:
                        break
                    chunk = _frame(event)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await _cancel(*ends, *([fetching] if fetching else []))
            if isinstance(self._events, AsyncGenerator):
                await self._events.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> Document | None:
        """Returns the next event, None when there will be no more."""
        try:
            return await anext(self._events, None)
        except ContextError:
            return None

    async def _disallowed(self) -> None:
        while True:
            await asyncio.sleep(self._watch.options.key_check_interval)
            if not await self._watch.still_allowed():
                return


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, ContextError):
            await task


def _frame(event: Document) -> bytes:
    """Returns an event as the wire has it; JSON on one line needs no further escaping."""
    head = f"id: {event['seq']}\nevent: {event['type']}\ndata: ".encode()
    return head + orjson.dumps(event) + b"\n\n"
