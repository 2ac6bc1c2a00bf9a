"""A server of uvicorn inside a loop of ours, its connections bounded."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from context_api.http.options import HttpOptions
from context_api.http.protocol import bounded

GRACE_SECONDS = 6
TICK_SECONDS = 1.0
"""How often the Date of the answers is set."""


class Server(uvicorn.Server):
    """Serves an application whose lifespan and signals are another's care."""

    def __init__(
        self, app: ASGIApp, options: HttpOptions, on_started: Callable[[], None] = lambda: None
    ) -> None:
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(
            uvicorn.Config(
                app,
                http=bounded(options),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._on_started = on_started

    @property
    def should_exit(self) -> bool:
        """Whether the server was told to end; it may be told by any thread."""
        return self._told.is_set()

    @should_exit.setter
    def should_exit(self, told: bool) -> None:
        if not told:
            self._told.clear()
        elif self._loop is None or self._loop.is_closed():
            self._told.set()
        else:
            self._loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        """Sets the Date once a second until it is told to end.

        uvicorn looks ten times a second whether it was told, which is most of what an idle
        process does.
        """
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._told.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen and says so."""
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to who runs it, who has more to close than the server."""
        yield
