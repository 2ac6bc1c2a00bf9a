"""A server that is killed or stops: what was answered is there, the rest is refused in time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest

from context_api.adapters.sql.dialect import open_database
from context_api.adapters.sql.unit_of_work import SqlUnitOfWork
from context_api.application import admin, projects, reading
from context_api.application.health import ready
from context_api.application.services import Services
from context_api.domain.caller import Caller
from memory_core.errors import Busy, ContextError, Unavailable
from memory_core.ids import uuid7
from memory_core.operations import CreateProject, CreateSession
from memory_core.records import Kind
from tests.faults.team.hubs import own_postgres
from tests.support.databases import OnServer
from tests.support.patience import BUSY_S
from tests.support.servers.postgres import PostgresServer
from tests.support.services import caller, do, services_in

ME = caller()
WRITERS = 6
KILLS = 3
DEADLINE_S = 2.0
RECOVERY_S = 30.0


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server of these tests alone, to be killed and stopped."""
    with own_postgres() as server:
        yield server


@pytest.fixture
def own(own_server: PostgresServer) -> Iterator[OnServer]:
    """The databases of a test's hubs on that server."""
    made = OnServer(own_server)
    yield made
    made.drop()


@asynccontextmanager
async def hub(database: OnServer, folder: Path) -> AsyncIterator[Services]:
    async with services_in(folder, database) as services:
        await projects.ensure(services, ME, CreateProject(slug="acme/api"))
        yield services


def processes(server: PostgresServer) -> list[psutil.Process]:
    assert server.process is not None
    postmaster = psutil.Process(server.process.pid)
    return [postmaster, *postmaster.children(recursive=True)]


def kill(server: PostgresServer) -> None:
    """Kills the whole server as a power cut would, but for the disk."""
    for process in processes(server):
        with suppress(psutil.NoSuchProcess):
            os.kill(process.pid, signal.SIGKILL)
    assert server.process is not None
    server.process.wait(10)


async def save(services: Services, who: Caller) -> str:
    """Saves a session and returns its id once it is answered."""
    identity = uuid7()
    body = CreateSession(id=identity, title="t")
    await do(services, who, Kind.SESSION, body, project="acme/api")
    return identity


async def write_until(services: Services, done: asyncio.Event, answered: list[str]) -> None:
    while not done.is_set():
        try:
            answered.append(await save(services, ME))
        except Unavailable:
            await asyncio.sleep(0.05)


async def recovered(services: Services) -> float:
    """Waits until a write succeeds and returns how many seconds that took."""
    started = time.monotonic()
    while time.monotonic() - started < RECOVERY_S:
        try:
            await save(services, ME)
        except Unavailable:
            await asyncio.sleep(0.05)
        else:
            return time.monotonic() - started
    raise AssertionError("the hub did not recover")


async def killed_under_writers(own: OnServer, folder: Path) -> None:
    answered: list[str] = []
    done = asyncio.Event()
    async with hub(own, folder) as services:
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(write_until(services, done, answered))
            for _ in range(KILLS):
                before = len(answered)
                while len(answered) < before + 10:
                    await services.wakeup.wait(services.wakeup.round, 1.0)
                await asyncio.to_thread(kill, own.server)
                await asyncio.to_thread(own.server.start)
                await recovered(services)
            done.set()
        lost = []
        for identity in answered:
            try:
                await reading.get(services, ME, Kind.SESSION, identity)
            except ContextError as error:
                lost.append((identity, error.code))
        assert lost == []
        assert len(answered) >= 10 * KILLS
        assert (await admin.verify(services, ME))["ok"]


def test_a_killed_server_loses_nothing_that_was_answered(own: OnServer, tmp_path: Path) -> None:
    asyncio.run(killed_under_writers(own, tmp_path))


async def timed_refusal(services: Services) -> float:
    """Returns how long a write took to be refused."""
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await save(services, ME)
    return time.monotonic() - started


async def stopped(own: OnServer, folder: Path) -> None:
    async with hub(own, folder) as services:
        await save(services, ME)
        standing = processes(own.server)
        for process in standing:
            process.suspend()
        try:
            took = await asyncio.gather(*(timed_refusal(services) for _ in range(20)))
            assert max(took) < DEADLINE_S + BUSY_S
            # Now that it is known, nobody waits at all.
            assert await timed_refusal(services) < DEADLINE_S / 2
            assert (await ready(services))["status"] == "unavailable"
        finally:
            for process in reversed(standing):
                process.resume()
        assert await recovered(services) < 5.0 + BUSY_S
        assert (await ready(services))["checks"]["database"] == {"ok": True}  # type: ignore[index,call-overload]
        assert (await admin.verify(services, ME))["ok"]


def test_a_stopped_server_is_told_within_two_seconds(own: OnServer, tmp_path: Path) -> None:
    asyncio.run(stopped(own, tmp_path))


async def gone(own: OnServer, folder: Path) -> None:
    async with hub(own, folder) as services:
        own.server.stop(signal.SIGINT)
        try:
            assert await timed_refusal(services) < DEADLINE_S + BUSY_S
        finally:
            own.server.start()
        assert await recovered(services) < 10.0 + BUSY_S


def test_a_server_that_is_restarted(own: OnServer, tmp_path: Path) -> None:
    asyncio.run(gone(own, tmp_path))


async def held(own: OnServer, folder: Path) -> None:
    """Another's lock on one project: its writers are refused in time, all others go on."""
    async with hub(own, folder) as services:
        made, *_ = await projects.ensure(services, ME, CreateProject(slug="acme/web"))
        name = own.names[folder]
        with own.server.connect(name) as connection, connection.transaction():
            connection.execute("SELECT 1 FROM projects WHERE slug = 'acme/api' FOR UPDATE")
            started = time.monotonic()
            with pytest.raises(Busy):
                await save(services, ME)
            assert time.monotonic() - started < 2 * DEADLINE_S + BUSY_S
            body = CreateSession(title="t")
            await do(services, ME, Kind.SESSION, body, project=str(made["id"]))
            await reading.get(services, ME, Kind.PROJECT, str(made["id"]))
        await save(services, ME)


def test_a_lock_on_one_project_holds_up_no_other(own: OnServer, tmp_path: Path) -> None:
    asyncio.run(held(own, tmp_path))


async def exhausted(own: OnServer, folder: Path) -> None:
    """More readers than connections: those who find none are told soon, and it passes."""
    database = open_database(own.url(folder))
    uow = SqlUnitOfWork(database)
    release = asyncio.Event()

    async def reader() -> str:
        try:
            async with database.reading(ME.tenant_id):
                await release.wait()
        except Busy:
            return "busy"
        return "read"

    started = time.monotonic()
    readers = [asyncio.create_task(reader()) for _ in range(20)]
    ended, _ = await asyncio.wait(readers, timeout=DEADLINE_S + 1)
    assert {task.result() for task in ended} == {"busy"}
    assert time.monotonic() - started < DEADLINE_S + 1 + BUSY_S
    release.set()
    assert sum([await task == "read" for task in readers]) == 20 - len(ended)
    assert await uow.tenants() == []
    await database.dispose()


def test_when_no_connection_is_left(own: OnServer, tmp_path: Path) -> None:
    asyncio.run(exhausted(own, tmp_path))


async def no_server(own: OnServer, folder: Path) -> None:
    address = own.url(folder).replace(own.names[folder], "nowhere")
    database = open_database(address)
    with pytest.raises(Unavailable, match="does not exist"):
        await SqlUnitOfWork(database).tenants()
    await database.dispose()
    database = open_database("postgresql+asyncpg://memctx_app@127.0.0.1:1/x")
    with pytest.raises(Unavailable, match="does not answer"):
        await SqlUnitOfWork(database).tenants()
    await database.dispose()


def test_where_there_is_no_database(own: OnServer, tmp_path: Path) -> None:
    asyncio.run(no_server(own, tmp_path))
