"""An older backup does not bring back what was erased since, not even while it is taken in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from context_api.application import admin, audit, projects, transfer
from context_api.application.requests import Page
from context_api.application.services import Services
from memory_core.errors import Deleted, InvalidInput
from memory_core.events import Event, EventType
from memory_core.ids import uuid7
from memory_core.operations import (
    CreateCheckpoint,
    CreatePattern,
    CreateProject,
    CreateSession,
    Erase,
    NewMessage,
    UpdateSession,
)
from memory_core.records import Kind, PatternType, Role
from tests.support.databases import HubDatabase
from tests.support.services import caller, do, services_in

ME = caller()
CANARY = "kanarienvogelgeheimnis"
KEPT = "zeppelin"
RESTORED = transfer.Taken(restore=True)


async def saved(services: Services) -> list[tuple[Kind, str]]:
    """Stores records with the canary among others; returns those that are erased later."""
    await projects.ensure(services, ME, CreateProject(slug="acme/api"))
    gone, other, message = uuid7(), uuid7(), uuid7()
    turn = NewMessage(role=Role.USER, text=CANARY)
    body = CreateSession(id=gone, title=CANARY, messages=[turn, turn])
    await do(services, ME, Kind.SESSION, body, project="acme/api")
    await do(services, ME, Kind.SESSION, UpdateSession(summary=CANARY), record_id=gone)
    child = CreateSession(id=uuid7(), title=CANARY, parent_session_id=gone)
    await do(services, ME, Kind.SESSION, child, project="acme/api")
    turns = [NewMessage(role=Role.USER, text=KEPT), NewMessage(id=message, role=Role.USER,
             text=CANARY), NewMessage(role=Role.USER, text=KEPT)]  # fmt: skip
    body = CreateSession(id=other, title=KEPT, messages=turns)
    await do(services, ME, Kind.SESSION, body, project="acme/api")
    state = CreateCheckpoint(id=uuid7(), description=CANARY, session_id=other)
    await do(services, ME, Kind.CHECKPOINT, state, project="acme/api")
    lesson = CreatePattern(id=uuid7(), name=CANARY, pattern_type=PatternType.CODE)
    await do(services, ME, Kind.PATTERN, lesson, project="acme/api")
    return [
        (Kind.SESSION, gone), (Kind.MESSAGE, message), (Kind.CHECKPOINT, str(state.id)),
        (Kind.PATTERN, str(lesson.id)),
    ]  # fmt: skip


async def lines_of(services: Services) -> list[bytes]:
    whole = b"".join([piece async for piece in transfer.export(services, ME)])
    return whole.splitlines()


async def logged(services: Services) -> list[Event]:
    async with services.uow.read(transfer.viewer_of(ME)) as tx:
        return [
            event
            for project in await tx.all_project_ids()
            async for page in tx.log.pages(project)
            for event in page
        ]


async def listed(services: Services) -> list[bytes]:
    """Returns the lines that name what is erased."""
    return [
        json.dumps(
            {"erased": {"project": e.project_id, "kind": e.kind, "id": e.record_id}}
        ).encode()
        for e in await logged(services)
        if e.type.endswith(".erased")
    ]


def ends_of(log: list[Event]) -> set[tuple[str, str, str | None, str]]:
    """Returns the last five entries, in which order they may have come."""
    return {(e.type, e.record_id, e.parent_id, str(e.content)) for e in log[-5:]}


async def watched(services: Services, lines: list[bytes]) -> AsyncIterator[bytes]:
    """Yields lines, and looks before each whether the canary can be read already."""
    for line in lines:
        for event in await logged(services):
            assert CANARY not in str(event.content)
        yield line


async def back_again(
    services: Services, lines: list[bytes], chosen: transfer.Taken = RESTORED
) -> dict[str, Any]:
    return dict(await transfer.import_(services, ME, watched(services, lines), chosen))


async def run(database: HubDatabase, old: Path, new: Path) -> None:
    async with services_in(old, database) as services:
        erased = await saved(services)
        backup = await lines_of(services)
        for kind, record_id in erased:
            await do(services, ME, kind, Erase(), record_id=record_id)
        gone = await listed(services)
        assert len(gone) == 5, "a child session goes with its parent"
        made = ends_of(await logged(services))
    async with services_in(new, database) as services:
        taken = await back_again(services, [backup[0], *gone, *backup[1:]])
        assert taken["erased"] == 5
        found = await logged(services)
        assert ends_of(found) == made
        assert KEPT in str([e.content for e in found])
        assert (await admin.verify(services, ME))["ok"] is True
        assert (await admin.rebuild(services, ME))["equal"] is True
        again = await back_again(services, [backup[0], *gone, *backup[1:]])
        assert (again["events"], again["erased"]) == (0, 0)
        told = await audit.list_(services, ME, Page(limit=200), "record.erase")
        assert len(told.items) == 5
        assert all(one["detail"]["again"] for one in told.items)
        revived = CreateSession(id=erased[0][1], title="again")
        with pytest.raises(Deleted):
            await do(services, ME, Kind.SESSION, revived, project="acme/api")
    assert database.holding(new, CANARY) == []


def test_what_was_erased_since_stays_erased(hub_database: HubDatabase, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patched:
        # Each event is stored by itself, so that somebody could read it in between.
        patched.setattr(transfer, "_BATCH", 1)
        asyncio.run(run(hub_database, tmp_path / "old", tmp_path / "new"))


def test_it_also_goes_where_it_is_still_there(hub_database: HubDatabase, tmp_path: Path) -> None:
    async def merged() -> None:
        async with services_in(tmp_path / "hub", hub_database) as services:
            erased = await saved(services)
            backup = await lines_of(services)
            project = (await logged(services))[0].project_id
            gone = [
                json.dumps({"erased": {"project": project, "kind": kind, "id": one}}).encode()
                for kind, one in erased
            ]
            taken = await transfer.import_(services, ME, plain([backup[0], *gone, *backup[1:]]))
            assert (taken["events"], taken["erased"]) == (0, 4)
            last = (await logged(services))[-4:]
            assert {event.type for event in last} == {
                EventType.SESSION_ERASED, EventType.MESSAGE_ERASED, EventType.CHECKPOINT_ERASED,
                EventType.PATTERN_ERASED,
            }  # fmt: skip
            assert (await admin.verify(services, ME))["ok"] is True

    asyncio.run(merged())


async def plain(lines: list[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


@pytest.mark.parametrize(
    "line",
    [
        {"project": uuid7(), "kind": "project", "id": uuid7()},
        {"project": uuid7(), "kind": "thing", "id": uuid7()},
        {"project": "x", "kind": "session", "id": uuid7()},
        {"kind": "session", "id": uuid7()},
    ],
)
def test_a_list_that_is_wrong(tmp_path: Path, line: dict[str, str]) -> None:
    async def refused() -> None:
        async with services_in(tmp_path) as services:
            head, *rest = await lines_of(services)
            wrong = json.dumps({"erased": line}).encode()
            with pytest.raises(InvalidInput):
                await transfer.import_(services, ME, plain([head, wrong, *rest]))

    asyncio.run(refused())
