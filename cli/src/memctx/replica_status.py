"""What `memctx status` and `memctx doctor` say of the replica of a folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from memctx.findings import Check, State, ok
from memctx.run import Run
from memctx.times import short_time

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent.local import LocalClient
    from sync_agent.replica import ProjectRow

MANY_PENDING = 100
REPAIR = "memctx sync repair"


def replica_status(run: Run, client: LocalClient) -> None:
    """Writes how the replica of this folder is doing."""
    rows = client.replica.projects()
    projects = [_project(client, row) for row in rows]
    data: dict[str, JsonValue] = {
        "replica": str(client.replica.path),
        "replica_id": client.replica.replica_id,
        "bytes": client.replica.path.stat().st_size,
        "projects": [*projects],
    }
    run.out.finish(data, human=lambda: _print(run, data, rows, projects))


def _project(client: LocalClient, row: ProjectRow) -> dict[str, JsonValue]:
    counts = client.replica.counts(row.id)
    indexed, changes = client.indexed([row])
    waiting = client.waiting(row.id)
    return {
        "id": row.id,
        "slug": row.slug,
        "role": row.role,
        "hub": row.hub,
        "last_sync_at": row.last_sync_at,
        "last_error": row.last_error,
        "behind": max(0, row.head - row.cursor),
        "pending": counts.pending,
        "rejected": counts.rejected,
        "conflicts": counts.conflicts,
        "to_index": changes - indexed,
        "to_embed": waiting,
    }


def _print(
    run: Run,
    data: dict[str, JsonValue],
    rows: list[ProjectRow],
    projects: list[dict[str, JsonValue]],
) -> None:
    own, found = rows[0], projects[0]
    run.out.fields(
        {
            "replica": str(data["replica"]),
            "size": f"{int(str(data['bytes'])) / 1e6:.1f} MB",
            "project": own.slug,
            "hub": own.hub or "none: all of it is here alone",
            "last sync": short_time(own.last_sync_at),
            "behind": int(str(found["behind"])),
            "pending": int(str(found["pending"])),
            "rejected": int(str(found["rejected"])),
            "conflicts": int(str(found["conflicts"])),
            "to index": int(str(found["to_index"])),
            "to embed": int(str(found["to_embed"])),
            "also holds": [row.slug for row in rows[1:]],
        }
    )
    if own.last_error:
        run.out.warn(f"the last sync failed: {own.last_error}")


def replica_checks(run: Run) -> Iterator[Check]:
    """Yields whether the replica of this folder is whole, and what waits in it."""
    from sync_agent.config import names_hub  # noqa: PLC0415

    client = run.local
    if client is None:
        if names_hub() or run.options.url or run.options.hub:
            return
        yield ok("replica", "none in this folder; `memctx init` makes one")
        return
    path = client.replica.path
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.Error as error:
            said = str(error)
    if said != "ok":
        yield Check("replica", State.FAIL, f"{path}: {said}", REPAIR)
        return
    size = path.stat().st_size
    yield ok("replica", f"{path} of {client.own.slug} is whole ({size / 1e6:.1f} MB)")
    if client.replica.journal_mode != "wal":
        yield Check(
            "replica",
            State.WARN,
            "this file system does not share memory: who writes waits for who reads",
            "memctx init --user",
        )
    for row in client.replica.projects():
        yield from _work(client, row)


def _work(client: LocalClient, row: ProjectRow) -> Iterator[Check]:
    counts = client.replica.counts(row.id)
    if row.hub is not None and counts.pending > MANY_PENDING:
        detail = f"{counts.pending} changes of {row.slug} are not at the hub yet"
        yield Check("pending", State.WARN, detail, "memctx sync")
    if counts.rejected:
        detail = f"the hub refused {counts.rejected} changes of {row.slug}"
        yield Check("rejected", State.WARN, detail, "memctx rejected list")
    if counts.conflicts:
        detail = f"{counts.conflicts} fields of {row.slug} have two values"
        yield Check("conflicts", State.WARN, detail, "memctx conflicts list")
    if row.last_error:
        yield Check("sync", State.WARN, f"{row.slug}: {row.last_error}", "memctx sync")
