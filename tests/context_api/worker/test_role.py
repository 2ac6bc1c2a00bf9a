"""A worker under a database role that reads no key and no audit log, and changes no record."""

from __future__ import annotations

import asyncio
from pathlib import Path

from context_api import bootstrap
from context_api.application import projects
from context_api.application.services import Services
from context_migration.roles import WORKER_ROLE, create_roles
from memory_core.ids import uuid7
from memory_core.operations import CreateProject, CreateSession, Erase, NewMessage
from memory_core.records import Kind, Role
from tests.context_api.adapters.index.support import IndexDatabase
from tests.support.databases import PASSWORD, app_url, owner_url, url_as
from tests.support.services import caller, do, settings

PATIENCE_S = 60.0
ME = caller()


async def indexed(services: Services, project: str, head: int) -> None:
    """Waits until the words and vectors of a project are at ``head``."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            progress = await services.indexes.progress(services.tenant_id, project)
            if min(progress.lexical_seq, progress.vector_seq) >= head and not progress.pending:
                return
            # Another process of the hub tells in no other way.
            await asyncio.sleep(0.05)


async def work(api: Services) -> None:
    made = await projects.ensure(api, ME, CreateProject(slug="a/b"))
    document = made.document
    assert document is not None
    session = CreateSession(
        id=uuid7(), title="t", messages=[NewMessage(role=Role.USER, text="a zeppelin")]
    )
    saved = await do(api, ME, Kind.SESSION, session, project="a/b")
    await indexed(api, str(document["id"]), saved.head)
    erased = await do(api, ME, Kind.SESSION, Erase(), record_id=session.id)
    await indexed(api, str(document["id"]), erased.head)


def test_a_worker_needs_no_more_than_its_role(database: IndexDatabase, tmp_path: Path) -> None:
    create_roles(owner_url(database.server, database.name), PASSWORD, WORKER_ROLE)
    as_api = settings(
        tmp_path / "api", role="api", database_url=app_url(database.server, database.name)
    )
    url = url_as(database.server, WORKER_ROLE, database.name)
    as_worker = settings(tmp_path / "worker", role="worker", database_url=url)

    async def run() -> None:
        # First of all, in a database without even the default tenant.
        async with bootstrap.running(as_worker), bootstrap.running(as_api) as api:
            await work(api)

    asyncio.run(run())
