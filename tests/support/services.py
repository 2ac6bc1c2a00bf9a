"""The hub's services over real stores in a temporary folder, without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from context_api import bootstrap
from context_api.application.services import Services
from context_api.application.writing import Written, execute
from context_api.domain.caller import ADMIN, Caller
from context_api.settings import Settings
from context_migration import runner
from memory_core.ids import uuid7
from memory_core.operations import Body, Operation
from memory_core.records import Kind
from tests.support.databases import HubDatabase, migrated_file

# Random, as a hub on a server insists.
KEY = "mctx_0123456789ab_Vq3nT8xLrW5yB1mKd7hP0sGfJ4cZ6uEa9iOtN2bXwRl"


def settings(folder: Path, **given: Any) -> Settings:
    """Returns settings of a hub in ``folder`` that embeds by hashing."""
    chosen = {"embedding_provider": "hashing", "api_key": KEY, "data_dir": folder, **given}
    return Settings(**chosen)


def migrated(folder: Path, **given: Any) -> Settings:
    """Returns settings of a hub in ``folder``, whose database has its schema."""
    chosen = settings(folder, **given)
    folder.mkdir(parents=True, exist_ok=True)
    if chosen.database == settings(folder).database:
        migrated_file(folder / "hub.db")
    else:
        runner.upgrade(chosen.database)
    return chosen


@asynccontextmanager
async def services_in(
    folder: Path, database: HubDatabase | None = None, **given: Any
) -> AsyncIterator[Services]:
    """Yields the services of a hub in ``folder``, with its rows in ``database`` or beside."""
    if database is None:
        chosen = migrated(folder, **given)
    else:
        chosen = settings(folder, database_url=database.url(folder), **given)
    async with bootstrap.running(chosen) as services:
        yield services


def caller(actor: str = "ada", *scopes: str, projects: frozenset[str] | None = None) -> Caller:
    """Returns a caller of the default tenant, admin unless scopes are named."""
    return Caller(
        tenant_id=bootstrap.DEFAULT_TENANT,
        actor=actor,
        key_id="test",
        scopes=frozenset(scopes or (ADMIN,)),
        project_ids=projects,
    )


async def do(
    services: Services,
    who: Caller,
    kind: Kind,
    body: Body,
    *,
    project: str | None = None,
    record_id: str | None = None,
    **more: Any,
) -> Written:
    """Carries out one operation under a new id."""
    base = more.pop("base", None)
    operation = Operation(
        op_id=more.pop("op_id", None) or uuid7(),
        kind=kind,
        record_id=record_id or getattr(body, "id", None) or uuid7(),
        body=body,
        base=base,
    )
    return await execute(services, who, project, operation, **more)
