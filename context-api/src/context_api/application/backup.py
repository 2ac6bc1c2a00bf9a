"""Whether a backup can be restored: done in a database of its own, and compared."""

from __future__ import annotations

from collections.abc import AsyncIterator

from context_api.application.admin import verified
from context_api.application.ports import UnitOfWork
from context_api.application.transfer import Taken, take_in
from context_api.application.viewing import viewer_of
from context_api.domain.caller import ADMIN, Caller
from memory_core.clock import now
from memory_core.records import Document


async def rehearse(uow: UnitOfWork, tenant_id: str, lines: AsyncIterator[bytes]) -> Document:
    """Restores an export into an empty database and says what came of it.

    The answer has ``ok`` and ``problems`` of the check that `admin.verify` makes, the
    ``events``, the ``view_digest``, and for each of ``projects`` its id, head and digest.

    Raises:
        InvalidInput, Conflict: the lines are no whole export.
    """
    caller = Caller(
        tenant_id=tenant_id,
        actor="backup",
        key_id="",
        scopes=frozenset({ADMIN}),
        project_ids=None,
    )
    async with uow.write(tenant_id) as tx:
        await tx.add_tenant("scratch", now())
        await tx.commit()
    taken = await take_in(uow, caller, lines, Taken(restore=True, only_empty=True, keys=True))
    async with uow.read(viewer_of(caller)) as read:
        checked = await verified(read)
        projects: list[Document] = []
        for project_id in await read.all_project_ids():
            head = await read.log.head(project_id)
            if head is not None:
                projects.append({"id": project_id, "head": head.seq, "digest": head.digest.hex()})
        views = await read.view_digest()
    return {
        "ok": checked["ok"],
        "report": checked,
        "events": taken["events"],
        "projects": [*projects],
        "view_digest": views.hex(),
    }
