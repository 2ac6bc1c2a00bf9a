"""How replicas are: who is behind, who was not seen for long, who has not erased yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Literal

from context_api.application.ports import ReadTx
from context_api.application.services import Services
from context_api.application.sync.ports import Erasure, Replica
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import READ, Caller
from memory_core.clock import now, to_datetime
from memory_core.records import Document, Kind, Ref

ALERT_PENDING = 100
OFFLINE = timedelta(minutes=45)
"""Three times the interval in which an agent syncs by default."""
MAX_ERASURES = 200

State = Literal["active", "paused", "offline"]


async def status(services: Services, caller: Caller, project: str | None) -> Document:
    """Returns the replicas of the caller's projects, and erasures that some have not applied.

    Raises:
        ProjectNotFound: there is no such project for the caller.
    """
    caller.require(READ)
    async with services.uow.read(viewer_of(caller)) as tx:
        chosen = None
        if project is not None:
            chosen = [str((await project_named(tx.records, project))["id"])]
        replicas, projects = await _visible(tx, chosen)
        waiting = _waiting(replicas, projects)
        erasures = await tx.replicas.erasures(waiting, MAX_ERASURES)
    at = now()
    return {
        "replicas": [_shown(replica, projects[replica.project_id], at) for replica in replicas],
        "erasures": [_erasure(one, replicas, projects[one.project_id]) for one in erasures],
    }


async def with_replicas(
    services: Services, caller: Caller, documents: Sequence[Document]
) -> list[Document]:
    """Returns projects with how many of their replicas are in each state."""
    async with services.uow.read(viewer_of(caller)) as tx:
        found = await tx.replicas.of_projects([str(document["id"]) for document in documents])
    at = now()
    counts = {
        str(document["id"]): {"active": 0, "paused": 0, "offline": 0} for document in documents
    }
    for replica in found:
        counts[replica.project_id][_state(replica, at)] += 1
    return [{**document, "replicas": {**counts[str(document["id"])]}} for document in documents]


async def _visible(
    tx: ReadTx, chosen: Sequence[str] | None
) -> tuple[list[Replica], Mapping[str, Document]]:
    found = await tx.replicas.of_projects(chosen)
    refs = {Ref(Kind.PROJECT, replica.project_id) for replica in found}
    documents = await tx.records.many(refs)
    projects = {ref.id: document for ref, document in documents.items()}
    return [replica for replica in found if replica.project_id in projects], projects


def _cursor(replica: Replica, project: Document) -> int:
    """Returns how far a replica has read the log as it is now; of another epoch nothing counts."""
    return replica.cursor_seq if replica.cursor_epoch == project["epoch"] else 0


def _waiting(replicas: Iterable[Replica], projects: Mapping[str, Document]) -> dict[str, int]:
    """Returns how far each project was read by the replica that is behind the most."""
    reached: dict[str, int] = {}
    for replica in replicas:
        at = _cursor(replica, projects[replica.project_id])
        reached[replica.project_id] = min(at, reached.get(replica.project_id, at))
    return {
        project_id: at
        for project_id, at in reached.items()
        if at < int(str(projects[project_id]["head"]))
    }


def _state(replica: Replica, at: str) -> State:
    if replica.paused:
        return "paused"
    away = to_datetime(at) - to_datetime(replica.last_seen)
    return "offline" if away > OFFLINE else "active"


def _shown(replica: Replica, project: Document, at: str) -> Document:
    head, cursor = int(str(project["head"])), _cursor(replica, project)
    return {
        "id": replica.id,
        "project": project["slug"],
        "project_id": replica.project_id,
        "name": replica.name,
        "actor": replica.actor,
        "agent": replica.agent,
        "protocol": replica.protocol,
        "state": _state(replica, at),
        "first_seen": replica.first_seen,
        "last_seen": replica.last_seen,
        "cursor": cursor,
        "head": head,
        "lag": head - cursor,
        "pending": replica.pending,
        "conflicts": replica.conflicts,
        "rejected": replica.rejected,
        "alert": replica.pending > ALERT_PENDING,
    }


def _erasure(erasure: Erasure, replicas: Iterable[Replica], project: Document) -> Document:
    return {
        "project": project["slug"],
        "project_id": erasure.project_id,
        "seq": erasure.seq,
        "record_id": erasure.record_id,
        "waiting": [
            replica.id
            for replica in replicas
            if replica.project_id == erasure.project_id and _cursor(replica, project) < erasure.seq
        ],
    }
