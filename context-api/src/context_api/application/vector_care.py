"""Care of the vector server's contents: compared with SQL, mended, or built anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from context_api.application import audit, index_care
from context_api.application.index_care_source import IndexSource
from context_api.application.services import Services
from context_api.application.vectors import VectorIndex
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import ADMIN, Caller
from memory_core.errors import Conflict
from memory_core.records import Document

Action = Literal["verify", "repair", "rebuild"]

_ACTS: dict[Action, Callable[[VectorIndex, IndexSource], Document]] = {
    "verify": index_care.verify,
    # Chroma sometimes loses a vector that is put back where it was; then only a rebuild helps.
    "repair": index_care.mend_index,
    "rebuild": index_care.rebuild,
}


async def care(services: Services, caller: Caller, action: Action, project: str | None) -> Document:
    """Verifies, repairs or rebuilds the vectors of one project, or of all, one after the other.

    A repair rebuilds what is damaged, and lets what could not be embedded be tried again.

    Raises:
        Conflict: there is no vector server beside this hub.
        ProjectNotFound: there is no such project for the caller.
        Unavailable, Busy, Corrupt: as `index_care` says.
    """
    caller.require(ADMIN)
    if services.vectors is None:
        raise Conflict("this hub has no vector server; its index is made anew by a rebuild")
    async with services.uow.read(viewer_of(caller)) as tx:
        if project is not None:
            chosen = [await project_named(tx.records, project)]
        else:
            found = [await tx.records.project(one) for one in await tx.all_project_ids()]
            chosen = [document for document in found if document is not None]
    if action != "verify":
        await audit.announce(services, caller, f"index.{action}", project or "")
    reports: list[Document] = []
    for document in chosen:
        index, source = services.vectors(caller.tenant_id, str(document["id"]))
        done = await asyncio.to_thread(_ACTS[action], index, source)
        reports.append({"project": document["slug"], **_shown(done)})
    return {"ok": all(one["verdict"] == "ok" for one in reports), "projects": [*reports]}


def _shown(report: Document) -> Document:
    names = (
        "project_id", "generation", "model", "dimension", "verdict", "expected", "held",
        "missing", "stale", "orphans", "waiting", "asked", "unfound", "damage",
    )  # fmt: skip
    shown: Document = {name: report[name] for name in names}
    changed = ("upserted", "deleted", "copied", "dropped", "retried")
    return {**shown, "changed": {name: report[name] for name in changed if name in report}}
