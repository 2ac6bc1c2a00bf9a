"""Vectors for replicas, so that no repository has to embed what the hub has embedded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from context_api.application.services import Services
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import READ, Caller
from memory_core.sync.vectors import pack


async def vectors(
    services: Services, caller: Caller, project: str, hashes: Sequence[str]
) -> bytes | None:
    """Returns the vectors of texts of a project by their hashes (hex), packed.

    Those that are not made yet are missing, and those of somebody else's PRIVATE records. None:
    the hub has no model.

    Raises:
        ProjectNotFound: there is no such project for the caller.
    """
    caller.require(READ)
    async with services.uow.glance(viewer_of(caller)) as records:
        project_id = str((await project_named(records, project))["id"])
    if services.indexes.embedder is None:
        return None
    store = services.indexes.of(caller.tenant_id)

    def read() -> bytes | None:
        batch = store.vectors_of(project_id, hashes, asker=caller.actor)
        return None if batch is None else pack(batch)

    return await asyncio.to_thread(read)
