"""Records taken from the hub as they are, where reading the whole log would take long."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from memory_core.records import Document, Kind, Ref
from sync_agent.replica import erasing, projects
from sync_agent.replica.meta import set_meta
from sync_agent.replica.records import Records, root_of
from sync_agent.replica.showing import refresh

_BESIDE = frozenset(
    {"project", "access_count", "last_accessed", "as_of", "head", "epoch", "indexed_seq",
     "replicas", "pending"}
)  # fmt: skip
"""What the hub shows with a record but the log does not say."""


def put(
    connection: sqlite3.Connection, project_id: str, items: Iterable[tuple[Kind, Document]]
) -> int:
    """Stores documents that are newer than what is held; returns how many."""
    project = projects.one(connection, project_id)
    records = Records(connection, project_id, project.change_no)
    roots: set[str] = set()
    stored = 0
    for kind, shown in items:
        document = {name: value for name, value in shown.items() if name not in _BESIDE}
        ref = Ref(kind, str(document["id"]))
        seq = int(str(document["seq"]))
        held = records.held(ref)
        if held is not None and held.base is not None and held.seq >= seq:
            continue
        if document.get("erased"):
            records.remove(records.parts(ref), seq)
            erasing.wipe(records, ref, 0)
            set_meta(connection, "purge", "1")
        records.save_base(ref, document, seq)
        roots.add(root_of(ref, document) or ref.id)
        stored += 1
    refresh(records, project.actor, roots)
    projects.move(connection, project_id, change_no=records.change_no)
    return stored
