"""What is erased is nowhere: not in rows, log, index, write-ahead logs, nor in any answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

from context_api.adapters.mending_index import MendingIndex
from context_api.application import admin, events, projects, searching, transfer
from context_api.application.indexing import indexer_of
from context_api.application.services import Services
from memory_core.ids import uuid7
from memory_core.operations import (
    CreateCheckpoint,
    CreateProject,
    CreateSession,
    Delete,
    Erase,
    NewMessage,
    UpdateSession,
)
from memory_core.records import Kind, Role
from memory_core.requests import SearchRequest
from tests.support.databases import HubDatabase
from tests.support.services import caller, do, services_in

ME = caller()
CANARY = "kanarienvogelgeheimnis"
SETTLE_S = 30.0


async def saved(services: Services) -> str:
    await projects.ensure(services, ME, CreateProject(slug="acme/api"))
    session = uuid7()
    body = CreateSession(
        id=session,
        title=f"title {CANARY}",
        messages=[NewMessage(role=Role.USER, text=f"text {CANARY} {n}") for n in range(3)],
    )
    await do(services, ME, Kind.SESSION, body, project="acme/api")
    await do(services, ME, Kind.SESSION, UpdateSession(summary=CANARY), record_id=session)
    checkpoint = CreateCheckpoint(description=f"state {CANARY}", session_id=session)
    await do(services, ME, Kind.CHECKPOINT, checkpoint, project="acme/api")
    child = CreateSession(title=f"child {CANARY}", parent_session_id=session)
    await do(services, ME, Kind.SESSION, child, project="acme/api")
    return session


async def hits(services: Services) -> list[object]:
    request = SearchRequest(query=CANARY, projects=["acme/api"], min_score=0, limit=50)
    found = (await searching.search(services, ME, request))["hits"]
    assert isinstance(found, list)
    return found


async def settle(services: Services) -> None:
    """Waits until everything there is, is indexed, vectors too; the file is then emptied of it."""
    store = services.indexes.of(ME.tenant_id)
    async with services.uow.read(indexer_of(ME.tenant_id)) as tx:
        heads = await tx.heads()
    async with asyncio.timeout(SETTLE_S):
        for project, head in heads.items():
            while not await _is_indexed(services, project, head):
                await services.wakeup.wait(services.wakeup.round, 0.1)
    if isinstance(store, MendingIndex):
        store.purge()


async def _is_indexed(services: Services, project: str, head: int) -> bool:
    progress = await services.indexes.progress(ME.tenant_id, project)
    return progress.lexical_seq == head and progress.pending == 0


async def erase_scenario(folder: Path, database: HubDatabase) -> None:
    async with services_in(folder, database) as services:
        session = await saved(services)
        await settle(services)
        assert len(await hits(services)) >= 4
        await do(services, ME, Kind.SESSION, Erase(), record_id=session)
        assert await hits(services) == []
        await settle(services)
        assert (await admin.verify(services, ME))["ok"]
        lines = [line async for line in transfer.export(services, ME)]
        assert CANARY.encode() not in b"".join(lines)
        project = (await projects.get(services, ME, "acme/api"))["id"]
        page = await events.page(services, ME, str(project), 0, 1000)
        assert CANARY not in str(page)
        assert (await admin.rebuild(services, ME))["equal"]
    assert database.holding(folder, CANARY) == []


def test_an_erased_session_is_nowhere(tmp_path: Path, hub_database: HubDatabase) -> None:
    asyncio.run(erase_scenario(tmp_path, hub_database))


async def delete_scenario(folder: Path, database: HubDatabase) -> None:
    async with services_in(folder, database) as services:
        session = await saved(services)
        await settle(services)
        await do(services, ME, Kind.SESSION, Delete(), record_id=session)
        assert await hits(services) == []
        await do(services, ME, Kind.SESSION, Erase(), record_id=session)
        assert (await admin.verify(services, ME))["ok"]
        again = CreateSession(title=f"title {CANARY}")
        await do(services, ME, Kind.SESSION, again, project="acme/api")
        assert len(await hits(services)) == 1


def test_the_deleted_is_not_found_and_can_be_said_again(
    tmp_path: Path, hub_database: HubDatabase
) -> None:
    asyncio.run(delete_scenario(tmp_path, hub_database))
