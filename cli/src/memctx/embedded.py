"""The only door of `memctx` to the hub's own code: to serve it, migrate it, or start it for the
length of one command.

Everything of the hub is imported here, and late: an installation without the extra `server`
has none of it.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from memctx.errors import NotInstalled
from sync_agent.channel import Channel, Retry
from sync_agent.client import HubClient
from sync_agent.errors import InvalidConfig
from sync_agent.url import HubUrl

if TYPE_CHECKING:
    from context_api.main import HubServer
    from context_api.settings import Settings as Settings  # noqa: PLC0414 - for annotations

_OURS = frozenset({"memory_core", "context_api", "context_migration", "sync_agent", "memctx"})

LOOPBACK = "127.0.0.1"
START_SECONDS = 120.0


@contextmanager
def _hub_code() -> Iterator[None]:
    """Says in one line that the hub is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _OURS:
            raise
        raise NotInstalled(
            f"the hub is not installed here ({missing} is missing);"
            " install it with: pip install 'memory-context[server]'"
        ) from error


def hub_settings(
    *,
    host: str | None = None,
    port: int | None = None,
    data_dir: Path | None = None,
    api_key: str | None = None,
) -> Settings:
    """Returns the hub's settings; what is given wins over files and environment.

    Raises:
        InvalidConfig: a setting cannot be used.
        NotInstalled: the hub is not part of this installation.
    """
    with _hub_code():
        from context_api.settings import SettingsError, load  # noqa: PLC0415
    try:
        return load(host=host, MEMCTX_PORT=port, data_dir=data_dir, api_key=api_key)
    except SettingsError as error:
        raise InvalidConfig(str(error)) from error


def migrate(settings: Settings) -> str:
    """Brings the database to this version's schema and returns its revision.

    Raises:
        Busy: a hub uses the data.
        InvalidConfig: the database is newer than this version.
    """
    with _hub_code():
        from context_api.adapters import data_dir  # noqa: PLC0415
        from context_api.adapters.sql.schema import REVISION  # noqa: PLC0415
        from context_migration.state import is_current  # noqa: PLC0415
    with data_dir.opened(settings.data_dir):
        if is_current(settings.database):
            return REVISION
        with _hub_code():
            from context_migration import runner  # noqa: PLC0415
        try:
            return runner.upgrade(settings.database)
        except runner.SchemaTooNewError as error:
            raise InvalidConfig(str(error)) from error


def serve(settings: Settings) -> int:
    """Runs the hub until it is told to stop and returns its exit status."""
    with _hub_code():
        from context_api.model_loading import ModelLoader  # noqa: PLC0415

        loader = ModelLoader(settings)
        # The model loads while the rest of the hub is imported.
        loader.begin()
        from context_api import main  # noqa: PLC0415
    migrate(settings)
    return main.run(settings, loader)


@contextmanager
def started_hub() -> Iterator[HubClient]:
    """Starts the hub in this process for a while and yields a client of it.

    It listens on a free port of the loopback interface with a key that nobody else knows, and
    holds the data folder's lock, so it never runs beside another.

    Raises:
        Busy: another hub uses the data.
        NotInstalled: the hub is not part of this installation.
    """
    key = f"mctx_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
    settings = hub_settings(host=LOOPBACK, port=0, api_key=key)
    migrate(settings)
    with _hub_code():
        from context_api.http import logs  # noqa: PLC0415
        from context_api.main import listen  # noqa: PLC0415
    logs.configure("error", "text")
    with closing(listen(LOOPBACK, 0)) as bound:
        started: Future[HubServer] = Future()
        thread = threading.Thread(target=_run, args=(settings, bound, started), name="hub")
        thread.start()
        try:
            server = started.result(START_SECONDS)
            url = HubUrl("http", LOOPBACK, bound.getsockname()[1])
            try:
                with HubClient(Channel(url, key, retry=Retry(budget=5.0))) as client:
                    yield client
            finally:
                server.should_exit = True
        finally:
            thread.join()


def _run(settings: Settings, bound: socket.socket, started: Future[HubServer]) -> None:
    try:
        asyncio.run(_serve(settings, bound, started))
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


async def _serve(settings: Settings, bound: socket.socket, started: Future[HubServer]) -> None:
    from context_api.main import HubServer, build_app  # noqa: PLC0415

    app = build_app(settings)
    server = HubServer(app, lambda: started.set_result(server))
    async with app.router.lifespan_context(app):
        await server.serve(sockets=[bound])
