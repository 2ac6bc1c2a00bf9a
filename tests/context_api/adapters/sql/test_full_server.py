"""A server whose disk is full: writes are refused whole and say why, reads go on."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg import sql

from context_api.application import admin, projects, reading
from context_api.application.services import Services
from memory_core.errors import StorageFull
from memory_core.ids import uuid7
from memory_core.operations import CreateProject, CreateSession, NewMessage
from memory_core.records import Kind, Role
from tests.support.databases import OnServer
from tests.support.servers.finding import give, unprivileged
from tests.support.servers.postgres import PostgresServer
from tests.support.services import caller, do, services_in

ME = caller()
SIZE = "48m"
BALLAST = 20 * 1024 * 1024


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mounts a small tmpfs that the server may use; skips where that is not possible."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        space = folder / "space"
        space.mkdir()
        give(space, unprivileged())
        folder.chmod(0o755)
        yield space
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def moved(database: OnServer, folder: Path, space: Path) -> Iterator[None]:
    """Keeps the tables of a hub on that disk; the server's own log stays where it is."""
    name = sql.Identifier(f"small_{uuid7()}")
    hub = sql.Identifier(database.names[folder])
    server = database.server
    with server.connect() as connection:
        at = sql.Literal(str(space))
        connection.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(name, at))
        connection.execute(sql.SQL("ALTER DATABASE {} SET TABLESPACE {}").format(hub, name))
    try:
        yield
    finally:
        database.drop()
        with server.connect() as connection:
            connection.execute(sql.SQL("DROP TABLESPACE {}").format(name))


async def save(services: Services) -> str:
    """Saves some 200 kB that do not compress."""
    identity = uuid7()
    texts = [" ".join(secrets.token_hex(8) for _ in range(1_200)) for _ in range(10)]
    messages = [NewMessage(role=Role.USER, text=text) for text in texts]
    body = CreateSession(id=identity, title="t", messages=messages)
    await do(services, ME, Kind.SESSION, body, project="acme/api")
    return identity


async def save_many(services: Services, kept: list[str]) -> None:
    for _ in range(150):
        kept.append(await save(services))  # noqa: PERF401 - those before a failure count


async def filled(database: OnServer, folder: Path, free: Callable[[], None]) -> None:
    kept: list[str] = []
    async with services_in(folder, database, role="api") as services:
        await projects.ensure(services, ME, CreateProject(slug="acme/api"))
        with pytest.raises(StorageFull):
            await save_many(services, kept)
        assert len(kept) > 5
        await reading.get(services, ME, Kind.SESSION, kept[-1])
        with pytest.raises(StorageFull):
            await save_many(services, kept)
        assert (await admin.verify(services, ME))["ok"]
        free()
        kept.append(await save(services))
        for identity in kept:
            await reading.get(services, ME, Kind.SESSION, identity)
        assert (await admin.verify(services, ME))["ok"]


@pytest.mark.slow
def test_a_full_disk_of_the_server(postgres_server: PostgresServer, tmp_path: Path) -> None:
    if postgres_server.folder is None:
        pytest.skip("the server was not started here, so its disk is not ours")
    database = OnServer(postgres_server)
    database.url(tmp_path / "hub")
    # Not below the test's own folder, into which the server's user may not look.
    disk = Path(tempfile.mkdtemp(prefix="disk-"))
    try:
        with small_disk(disk) as space, moved(database, tmp_path / "hub", space):
            ballast = disk / "ballast"
            ballast.write_bytes(b"\0" * BALLAST)
            asyncio.run(filled(database, tmp_path / "hub", ballast.unlink))
    finally:
        disk.rmdir()
