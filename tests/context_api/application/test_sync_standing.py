"""What the hub keeps of a replica's operations holds where requests cross each other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from context_api.application import projects
from context_api.application.services import Services
from context_api.application.sync import push as pushing
from context_api.application.sync.ports import Greeting, Result
from context_api.application.sync.pushed import PushRequest, pushed
from context_api.application.viewing import viewer_of
from memory_core.ids import uuid7
from memory_core.operations import CreateProject, CreateSession, Operation, UpdateSession
from memory_core.records import Kind
from tests.support.databases import HubDatabase
from tests.support.services import caller, do, services_in
from tests.support.syncing import operation, wires

ME = caller()
SLUG = "acme/api"
REPLICA = uuid7()


def request(operations: Sequence[Operation], **greeting: int) -> PushRequest:
    said = Greeting(id=REPLICA, **greeting)
    return PushRequest(greeting=said, epoch=None, operations=pushed(wires(operations)))


async def mixed(services: Services) -> list[Operation]:
    """Returns operations of which one will be rejected and one meets a conflict."""
    session = CreateSession(id=uuid7(), title="one")
    made = await do(services, ME, Kind.SESSION, session, project=SLUG)
    assert made.document is not None
    await do(services, ME, Kind.SESSION, UpdateSession(title="two"), record_id=session.id)
    late = UpdateSession(title="three")
    return [
        operation(Kind.SESSION, CreateSession(id=uuid7(), title="first")),
        operation(Kind.SESSION, UpdateSession(title="nobody's"), uuid7()),
        operation(Kind.SESSION, late, session.id, base=str(made.document["last_op"])),
        operation(Kind.SESSION, CreateSession(id=uuid7(), title="last")),
    ]


def test_a_push_that_is_overtaken_gives_the_results_of_the_faster_one(
    tmp_path: Path, hub_database: HubDatabase
) -> None:
    async def run() -> tuple[list[Result], list[Result]]:
        async with services_in(tmp_path, hub_database) as services:
            await projects.ensure(services, ME, CreateProject(slug=SLUG))
            asked = request(await mixed(services))
            slow = await pushing._standing(services, ME, SLUG, asked)
            fast = await pushing._standing(services, ME, SLUG, asked)
            await pushing._carry_out(fast, asked.operations)
            await pushing._carry_out(slow, asked.operations)
            return fast.results, slow.results

    fast, slow = asyncio.run(run())
    assert [one.outcome for one in fast] == ["accepted", "rejected", "conflict", "accepted"]
    assert slow == fast


def test_no_more_is_confirmed_than_was_carried_out(
    tmp_path: Path, hub_database: HubDatabase
) -> None:
    """So says a replica of a hub that was put back to an earlier day."""

    async def run() -> int:
        async with services_in(tmp_path, hub_database) as services:
            await projects.ensure(services, ME, CreateProject(slug=SLUG))
            asked = request(await mixed(services), confirmed=9)
            await pushing.push(services, ME, SLUG, asked)
            async with services.uow.read(viewer_of(ME)) as tx:
                project = await tx.records.project(SLUG)
                assert project is not None
                known = await tx.replicas.get(str(project["id"]), REPLICA)
        assert known is not None
        return known.confirmed

    assert asyncio.run(run()) == 0


def test_digests_of_a_log_are_read_in_parts(tmp_path: Path, hub_database: HubDatabase) -> None:
    async def run() -> tuple[list[bytes], list[list[bytes]]]:
        async with services_in(tmp_path, hub_database) as services:
            await projects.ensure(services, ME, CreateProject(slug=SLUG))
            await mixed(services)
            async with services.uow.read(viewer_of(ME)) as tx:
                project = await tx.records.project(SLUG)
                assert project is not None
                project_id = str(project["id"])
                log = await tx.log.page(project_id, 0, 100)
                parts = [part async for part in tx.log.digests(project_id, 1, len(log), 2)]
                assert [part async for part in tx.log.digests(project_id, 2, 2)] == [
                    [log[1].digest]
                ]
        return [event.digest for event in log], parts

    log, parts = asyncio.run(run())
    assert len(log) == 3
    assert parts == [log[:2], log[2:]]
