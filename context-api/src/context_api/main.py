"""Starts the hub and stops it again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable

import structlog
from fastapi import FastAPI

from context_api import bootstrap
from context_api.http import logs, tracing
from context_api.http.app import HEALTH_ONLY, ROUTERS, create_app
from context_api.http.options import HttpOptions
from context_api.http.server import Server
from context_api.http.worker_figures import worker_figures
from context_api.model_loading import ModelLoader
from context_api.settings import Settings, SettingsError, load
from memory_core.errors import ContextError

log = structlog.get_logger(__name__)

BACKLOG = 2048
WORKER_NICE = 5
"""A worker gives way to those who wait for an answer on the same cores: at their side it gets a
third of what one of them does, alone all it wants."""

SPARE_FILES = 200
"""Open files beside the connections of clients: databases, the stores' connections, logs."""


class CannotListen(Exception):
    """The address cannot be used; says why in one line."""


def http_options(settings: Settings) -> HttpOptions:
    """Returns what the HTTP layer takes from the settings."""
    return HttpOptions(
        max_body_bytes=settings.max_body_bytes,
        body_idle_timeout=settings.body_idle_timeout,
        body_timeout=settings.body_timeout,
        head_timeout=settings.head_timeout,
        idle_timeout=settings.idle_timeout,
        max_connections=settings.max_connections,
        allowed_hosts=settings.hosts,
        search_default_limit=settings.search_default_limit,
        audit_reads=settings.audit_reads,
    )


def build_app(settings: Settings, loader: ModelLoader | None = None) -> FastAPI:
    """Returns the application; its lifespan starts and stops all that it needs.

    That of a worker says only how it is.
    """
    routers = HEALTH_ONLY if settings.role == "worker" else ROUTERS
    return create_app(lambda: bootstrap.running(settings, loader), http_options(settings), routers)


class HubServer(Server):
    """The server of a hub, which ends its event streams first."""

    def __init__(self, app: FastAPI, on_started: Callable[[], None]) -> None:
        traced = tracing.wanted(os.environ) and tracing.is_installed()
        super().__init__(
            tracing.traced(app, "memory-context") if traced else app, app.state.options, on_started
        )
        self._hub = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the event streams, then waits for what is being answered."""
        self._hub.state.stopping.set()
        await super().shutdown(sockets)


def listen(host: str, port: int, variable: str = "MEMCTX_PORT") -> socket.socket:
    """Returns a socket bound to the address; ``variable`` is what names its port.

    Raises:
        CannotListen: the port is taken, or the address is not one of this machine.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, proto)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise CannotListen(
            f"cannot listen on {host} port {port}: {error.strerror}; another hub may be running,"
            f" or choose another port with {variable}"
        ) from error
    return bound


def allow_files(settings: Settings) -> Settings:
    """Lets the process open a file for each connection, or takes fewer connections.

    Many systems begin with 1,024 and let a process raise that itself.
    """
    try:
        import resource  # noqa: PLC0415 - not made for every platform
    except ImportError:
        return settings
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections + SPARE_FILES
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < wanted:
        soft = wanted if hard == unlimited else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == unlimited or soft >= wanted:
        return settings
    fewer = max(1, soft - SPARE_FILES)
    log.warning("fewer connections than wanted", files=soft, connections=fewer)
    return settings.model_copy(update={"max_connections": fewer})


def give_way() -> None:
    """Lets others on the same cores go first, where the system knows how."""
    with contextlib.suppress(AttributeError, OSError):
        os.nice(WORKER_NICE)


async def serve(
    settings: Settings, bound: socket.socket, loader: ModelLoader | None = None
) -> None:
    """Runs the hub on a bound socket until SIGTERM or SIGINT."""
    loader = loader or ModelLoader(settings)
    app = build_app(settings, loader)
    server = HubServer(app, lambda: announce(settings, bound))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.handle_exit, number, None)
    async with app.router.lifespan_context(app), figures(settings, app, loader):
        await server.serve(sockets=[bound])


@contextlib.asynccontextmanager
async def figures(settings: Settings, app: FastAPI, loader: ModelLoader) -> AsyncIterator[None]:
    """Serves a worker's figures beside it, where the settings name a port for them.

    Raises:
        CannotListen: that port is taken.
    """
    if settings.role != "worker" or settings.metrics_port is None:
        yield
        return
    shown = worker_figures(lambda: app.state.services, app.state.metrics, loader.counts)
    server = Server(shown, app.state.options)
    address = settings.metrics_host, settings.metrics_port
    with contextlib.closing(listen(*address, "MEMCTX_METRICS_PORT")) as bound:
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving


def announce(settings: Settings, bound: socket.socket) -> None:
    """Says on standard error where the hub listens."""
    host, port = bound.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    sys.stderr.write(
        f"memory-context listens on http://{name}:{port} (data in {settings.data_dir})\n"
    )
    sys.stderr.flush()


def run(settings: Settings, loader: ModelLoader | None = None) -> int:
    """Runs the hub and returns its exit status: 0 when it was told to stop, else 1.

    ``loader`` may have begun to load the model while all this was imported.
    """
    logs.configure(settings.log_level, settings.log_format)
    settings = allow_files(settings)
    if settings.role == "worker":
        give_way()
    try:
        with (
            contextlib.closing(listen(settings.host, settings.port)) as bound,
            asyncio.Runner(loop_factory=_loop_factory()) as runner,
        ):
            runner.run(serve(settings, bound, loader))
    except (CannotListen, ContextError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns uvloop's, which is not made for every platform, else the standard one's."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    return uvloop.new_event_loop


def main() -> int:
    """Reads the settings and runs the hub; 2 when the settings cannot be used."""
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
