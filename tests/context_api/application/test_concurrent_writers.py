"""Eight writers on one project: no gap, nothing lost, and a reader that misses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from context_api.application import events, projects, reading
from context_api.application.services import Services
from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    CreatePattern,
    CreateProject,
    CreateSession,
    NewMessage,
    RecordOutcome,
)
from memory_core.records import Kind, PatternType, Role
from tests.support.databases import HubDatabase
from tests.support.services import caller, do, services_in

WRITERS = 8
ROUNDS = 12
ME = caller()


async def write(services: Services, number: int, session: str, pattern: str) -> None:
    who = caller(f"writer-{number}")
    for turn in range(ROUNDS):
        message = NewMessage(role=Role.USER, text=f"{number} {turn}")
        body = AppendMessages(messages=[message])
        await do(services, who, Kind.SESSION, body, record_id=session)
        outcome = RecordOutcome(success=turn % 2 == 0)
        await do(services, who, Kind.PATTERN, outcome, record_id=pattern)


async def tail(services: Services, project: str, until: int) -> list[int]:
    seen: list[int] = []
    async for event in events.follow(services, ME, project, 0):
        seen.append(int(str(event["seq"])))
        if seen[-1] >= until:
            break
    return seen


async def scenario(folder: Path, database: HubDatabase) -> None:
    async with services_in(folder, database) as services:
        project, *_ = await projects.ensure(services, ME, CreateProject(slug="acme/api"))
        session, pattern = uuid7(), uuid7()
        await do(
            services, ME, Kind.SESSION, CreateSession(id=session, title="t"), project="acme/api"
        )
        body = CreatePattern(id=pattern, name="p", pattern_type=PatternType.CODE)
        await do(services, ME, Kind.PATTERN, body, project="acme/api")
        expected = 3 + 2 * WRITERS * ROUNDS
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(tail(services, str(project["id"]), expected))
            for number in range(WRITERS):
                group.create_task(write(services, number, session, pattern))
        assert reader.result() == list(range(1, expected + 1))
        stored = await reading.messages(services, ME, session, -1, 1000)
        assert [m["position"] for m in stored] == list(range(WRITERS * ROUNDS))
        assert {str(m["text"]) for m in stored} == {
            f"{n} {turn}" for n in range(WRITERS) for turn in range(ROUNDS)
        }
        lesson = await reading.get(services, ME, Kind.PATTERN, pattern)
        assert (lesson["successes"], lesson["failures"]) == (
            WRITERS * ROUNDS // 2,
            WRITERS * ROUNDS // 2,
        )


def test_eight_writers_on_one_project(tmp_path: Path, hub_database: HubDatabase) -> None:
    asyncio.run(scenario(tmp_path, hub_database))
