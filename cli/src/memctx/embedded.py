"""The only door of `memctx` to the hub's own code: to serve it, migrate it, or start it for the
length of one command.

Everything of the hub is imported here, and late: an installation without the extra `server`
has none of it.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from memctx.errors import NotInstalled
from sync_agent.channel import Channel, Retry
from sync_agent.client import HubClient
from sync_agent.errors import InvalidConfig
from sync_agent.streams import lines
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
    role: str | None = None,
) -> Settings:
    """Returns the hub's settings; what is given wins over files and environment.

    Raises:
        InvalidConfig: a setting cannot be used.
        NotInstalled: the hub is not part of this installation.
    """
    with _hub_code():
        from context_api.settings import SettingsError, load  # noqa: PLC0415
    try:
        return load(host=host, MEMCTX_PORT=port, data_dir=data_dir, api_key=api_key, role=role)
    except SettingsError as error:
        raise InvalidConfig(str(error)) from error


def keyless_settings(*, data_dir: Path | None = None, role: str | None = None) -> Settings:
    """Returns the hub's settings for a process that answers nobody and so needs no key.

    It is given one that nobody knows: a container that only migrates or indexes need not hold
    the team's.

    Raises:
        InvalidConfig: a setting cannot be used.
        NotInstalled: the hub is not part of this installation.
    """
    return hub_settings(host=LOOPBACK, data_dir=data_dir, api_key=_unknown_key(), role=role)


def _unknown_key() -> str:
    return f"mctx_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def migrate(settings: Settings) -> str:
    """Brings the database to this version's schema and returns its revision.

    Raises:
        Busy: a hub uses the data.
        InvalidConfig: the database is newer than this version.
    """
    if settings.is_server:
        return _upgrade(settings)
    with _hub_code():
        from context_api.adapters import data_dir  # noqa: PLC0415
        from context_api.adapters.sql.schema import REVISION  # noqa: PLC0415
        from context_migration.state import is_current  # noqa: PLC0415
    with data_dir.opened(settings.data_dir):
        return REVISION if is_current(settings.database) else _upgrade(settings)


def _upgrade(settings: Settings) -> str:
    with _hub_code():
        from context_migration import runner  # noqa: PLC0415
    try:
        return runner.upgrade(settings.database)
    except runner.SchemaTooNewError as error:
        raise InvalidConfig(str(error)) from error


def serve(settings: Settings) -> int:
    """Runs the hub, or the part of it that the role names, until it is told to stop.

    Returns the exit status. A team's database is not migrated here: the hub's role there may
    not change tables, `memctx migrate` does it as their owner.
    """
    # As the first process of a container it would not heed a signal that nobody handles.
    signal.signal(signal.SIGTERM, _leave)
    with _hub_code():
        from context_api.model_loading import ModelLoader  # noqa: PLC0415

        loader = ModelLoader(settings)
        # The model loads while the rest of the hub is imported.
        loader.begin()
        from context_api import main  # noqa: PLC0415
    if not settings.is_server:
        migrate(settings)
    return main.run(settings, loader)


def _leave(_number: int, _frame: object) -> NoReturn:
    """Ends a hub that has not started to listen."""
    sys.exit(0)


@contextmanager
def started_hub() -> Iterator[HubClient]:
    """Starts the hub in this process for a while and yields a client of it.

    It listens on a free port of the loopback interface with a key that nobody else knows, and
    holds the data folder's lock, so it never runs beside another.

    Raises:
        Busy: another hub uses the data.
        NotInstalled: the hub is not part of this installation.
    """
    key = _unknown_key()
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


def rehearse_restore(tenant_id: str, pieces: Iterable[bytes]) -> dict[str, Any]:
    """Restores one tenant's export into a scratch database and says what came of it.

    The answer is that of `context_api.application.backup.rehearse`.

    Raises:
        InvalidInput, Conflict: it is no whole export.
        NotInstalled: the hub is not part of this installation.
    """
    with _hub_code():
        from context_api.adapters.sql.dialect import url_of_file  # noqa: PLC0415
        from context_migration import runner  # noqa: PLC0415
    with TemporaryDirectory(prefix="memctx-verify-") as folder:
        url = url_of_file(Path(folder) / "hub.db")
        runner.upgrade(url)
        return asyncio.run(_rehearse(url, tenant_id, pieces))


async def _rehearse(url: str, tenant_id: str, pieces: Iterable[bytes]) -> dict[str, Any]:
    from context_api.adapters.sql.dialect import open_database  # noqa: PLC0415
    from context_api.adapters.sql.unit_of_work import SqlUnitOfWork  # noqa: PLC0415
    from context_api.application.backup import rehearse  # noqa: PLC0415

    async def exported() -> AsyncIterator[bytes]:
        for line in lines(pieces):
            yield line

    database = open_database(url)
    try:
        return await rehearse(SqlUnitOfWork(database), tenant_id, exported())
    finally:
        await database.dispose()


class ServerFault(NamedTuple):
    """A part of a team's hub, what was found, and what mends it; empty where it is well.

    ``works`` says whether the hub can use it all the same.
    """

    name: str
    detail: str
    mend: str
    works: bool = False


def probe_servers() -> list[ServerFault]:
    """Looks at the servers that the settings of this machine's hub name; none without them.

    Raises:
        InvalidConfig: a setting cannot be used.
        NotInstalled: the hub is not part of this installation.
    """
    settings = hub_settings()
    if not settings.is_server:
        return []
    with _hub_code():
        from context_api.adapters import probing  # noqa: PLC0415
    found = [asyncio.run(probing.probe_database(settings.database))]
    if settings.chroma_url:
        token = settings.chroma_token.get_secret_value() if settings.chroma_token else None
        found.append(probing.probe_chroma(settings.chroma_url, token))
    if redis_url := settings.redis_url.get_secret_value():
        found.append(probing.probe_redis(redis_url))
    return [ServerFault(probe.name, probe.detail, probe.mend, probe.works) for probe in found]


def weak_secret() -> str | None:
    """Returns which secret of this machine's hub anybody could guess, if it serves a team."""
    settings = hub_settings()
    with _hub_code():
        from context_api.domain.weak_secrets import refuse_weak  # noqa: PLC0415
    return refuse_weak(settings.secrets, embedded=not settings.is_server)
