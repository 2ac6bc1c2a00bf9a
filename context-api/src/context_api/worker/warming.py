"""Brings indexes into memory before the first question needs them."""

from __future__ import annotations

import asyncio

import structlog

from context_api.application.indexing import indexer_of
from context_api.application.ports import Window
from context_api.application.services import Services
from memory_core.errors import ContextError

PROJECTS = 8
"""The newest projects of each tenant; the memory that indexes may take bounds them anyway."""

log = structlog.get_logger(__name__)


async def warm(services: Services) -> None:
    """Loads the indexes of the newest projects, one after the other."""
    try:
        for tenant_id in await services.uow.tenants():
            async with services.uow.read(indexer_of(tenant_id)) as tx:
                window = Window(limit=PROJECTS)
                projects = await tx.records.projects(slug=None, remote=None, window=window)
            for project in projects:
                await asyncio.to_thread(services.indexes.of(tenant_id).view, str(project["id"]))
    except ContextError as error:
        # The first question will meet it again and tell.
        log.warning("warming failed", code=error.code, detail=error.detail)
