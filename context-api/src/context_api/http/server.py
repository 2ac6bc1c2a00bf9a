"""A server of uvicorn inside a loop of ours, its connections bounded."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from context_api.http.options import HttpOptions
from context_api.http.protocol import bounded

GRACE_SECONDS = 6


class Server(uvicorn.Server):
    """Serves an application whose lifespan and signals are another's care."""

    def __init__(
        self, app: ASGIApp, options: HttpOptions, on_started: Callable[[], None] = lambda: None
    ) -> None:
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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen and says so."""
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to who runs it, who has more to close than the server."""
        yield
