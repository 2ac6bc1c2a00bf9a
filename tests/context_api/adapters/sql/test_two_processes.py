"""Two hubs over one database: each hears of the other's commits and misses none."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from context_api.application import events, projects
from context_api.application.services import Services
from memory_core.operations import CreateProject, CreateSession
from memory_core.records import Kind
from tests.support.databases import OnServer
from tests.support.services import caller, do, services_in

ME = caller()
WRITES = 15


async def write(services: Services, number: int) -> None:
    for turn in range(WRITES):
        body = CreateSession(title=f"{number} {turn}")
        await do(services, ME, Kind.SESSION, body, project="acme/api")


async def tail(services: Services, project: str, until: int) -> list[int]:
    seen: list[int] = []
    async for event in events.follow(services, ME, project, 0):
        seen.append(int(str(event["seq"])))
        if seen[-1] >= until:
            break
    return seen


async def both(database: OnServer, folder: Path) -> None:
    database.names[folder / "two"] = database.names.setdefault(
        folder / "one", database.server.create("t_memctx_template")
    )
    async with (
        services_in(folder / "one", database) as one,
        services_in(folder / "two", database) as two,
    ):
        made, *_ = await projects.ensure(one, ME, CreateProject(slug="acme/api"))
        project, until = str(made["id"]), 1 + 4 * WRITES
        async with asyncio.TaskGroup() as group:
            tails = [group.create_task(tail(hub, project, until)) for hub in (one, two)]
            for number, hub in enumerate((one, two, one, two)):
                group.create_task(write(hub, number))
        for task in tails:
            assert task.result() == list(range(1, until + 1))
        seen, started = two.wakeup.round, time.monotonic()
        await do(one, ME, Kind.SESSION, CreateSession(title="t"), project="acme/api")
        await two.wakeup.wait(seen, 10.0)
        # By the other's word, not by looking again.
        assert two.wakeup.round > seen
        assert time.monotonic() - started < 5.0


def test_two_hubs_over_one_database(on_server: OnServer, tmp_path: Path) -> None:
    on_server.url(tmp_path)
    asyncio.run(both(on_server, tmp_path))
