"""How a replica stands, read from its file: it can be asked with or without an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_core.errors import ContextError
from sync_agent.agent.rounds import alert

if TYPE_CHECKING:
    from pydantic import JsonValue

    from memory_core.records import Document
    from sync_agent.agent.registry import Registered
    from sync_agent.replica import ProjectRow, Replica


def standing(entry: Registered) -> Document:
    """Returns how one replica stands.

    ``state`` is ``missing`` (its file is gone), ``broken`` (it cannot be read, ``error`` says
    why), ``paused``, ``local`` (it was never synced with a hub) or ``active``.
    """
    found: Document = {
        "replica": str(entry.path),
        "folder": str(entry.root),
        "project": entry.project,
        "state": "missing" if entry.missing else "paused" if entry.paused else "active",
        "hub": None,
        "projects": [],
        "alerts": [],
        "error": None,
    }
    if entry.missing:
        return found
    from sync_agent.replica import Replica  # noqa: PLC0415 - loads the rules of all records

    try:
        with Replica.open(entry.path) as replica:
            rows = replica.projects()
            projects: list[JsonValue] = [_project(replica, row) for row in rows]
    except ContextError as error:
        return found | {
            "state": "broken",
            "error": {"code": error.code, "detail": error.detail},
        }
    own = [row for row in rows if row.role == "own"]
    hub = own[0].hub if own else None
    alerts = [
        alert(row.slug, _pending(project)) for row, project in zip(rows, projects, strict=True)
    ]
    return found | {
        "project": own[0].slug if own else entry.project,
        "state": "local" if hub is None and not entry.paused else found["state"],
        "hub": hub,
        "projects": projects,
        "alerts": [text for text in alerts if text is not None],
        "error": next((row.last_error for row in rows if row.last_error), None),
    }


def _project(replica: Replica, row: ProjectRow) -> Document:
    counts = replica.counts(row.id)
    return {
        "id": row.id,
        "slug": row.slug,
        "role": row.role,
        "cursor": row.cursor,
        "head": row.head,
        "behind": max(0, row.head - row.cursor),
        "pending": counts.pending,
        "conflicts": counts.conflicts,
        "rejected": counts.rejected,
        "last_sync_at": row.last_sync_at,
        "last_error": row.last_error,
    }


def _pending(project: JsonValue) -> int:
    pending = project["pending"] if isinstance(project, dict) else 0
    return pending if isinstance(pending, int) else 0
