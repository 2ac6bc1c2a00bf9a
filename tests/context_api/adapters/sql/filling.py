"""Two tenants with a row in every table."""

from __future__ import annotations

import asyncio
from pathlib import Path

from context_api.application import context_pack, keys, projects
from context_api.application.requests import CreateKey
from context_api.application.seeding import seed
from context_api.application.services import Services
from context_api.application.sync.ports import Greeting, Result
from context_api.domain.caller import ADMIN, Caller
from memory_core.clock import now
from memory_core.ids import uuid7
from memory_core.operations import (
    CreateCheckpoint,
    CreatePattern,
    CreateProject,
    CreateSession,
    NewMessage,
    UpdateSession,
)
from memory_core.records import Kind, PatternType, Role
from memory_core.requests import ContextRequest
from tests.support.databases import OnServer
from tests.support.services import do, services_in

SECRET = "password = 'Xk29sLq0aPz7Wm4e'"


def admin_of(tenant_id: str, actor: str = "ada") -> Caller:
    """Returns an admin of a tenant."""
    return Caller(
        tenant_id=tenant_id,
        actor=actor,
        key_id="test",
        scopes=frozenset({ADMIN}),
        project_ids=None,
    )


async def fill(services: Services, tenant_id: str) -> None:
    """Makes a tenant with at least one row in every table."""
    await seed(services.uow, tenant_id)
    me = admin_of(tenant_id)
    made = await projects.ensure(services, me, CreateProject(slug="a/b", remotes=["host/a/b"]))
    async with services.uow.write(tenant_id) as tx:
        project_id, said = str(made.document["id"]), Greeting(id=uuid7(), name="laptop")
        await tx.replicas.greet(project_id, "ada", said, now())
        result = Result(number=1, op_id=uuid7(), hash=b"h" * 32, outcome="accepted", seq=1, head=1)
        assert await tx.replicas.move_all(project_id, said.id, "ada", [result])
        await tx.commit()
    session = CreateSession(
        id=uuid7(),
        title="of " + tenant_id,
        tags=["t"],
        messages=[NewMessage(role=Role.USER, text=f"zeppelin {SECRET}")],
    )
    first = await do(services, me, Kind.SESSION, session, project="a/b")
    assert first.document is not None
    base = str(first.document["last_op"])
    for title in ("one", "two"):
        body = UpdateSession(title=title)
        await do(services, me, Kind.SESSION, body, record_id=session.id, base=base)
    checkpoint = CreateCheckpoint(description="c", session_id=session.id)
    await do(services, me, Kind.CHECKPOINT, checkpoint, project="a/b")
    pattern = CreatePattern(name="p", pattern_type=PatternType.CODE, tags=["t"])
    await do(services, me, Kind.PATTERN, pattern, project="a/b")
    await keys.create(services, me, CreateKey(name="k", scopes=["read"]))
    packed = ContextRequest(project="a/b", query="zeppelin")
    await context_pack.build(services, me, packed)


def filled(database: OnServer, folder: Path) -> tuple[str, str]:
    """Returns two tenants that have rows everywhere."""
    tenants = (uuid7(), uuid7())

    async def run() -> None:
        async with services_in(folder, database) as services:
            for tenant_id in tenants:
                await fill(services, tenant_id)

    asyncio.run(run())
    return tenants
