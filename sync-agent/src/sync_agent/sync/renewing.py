"""A damaged replica file: set aside, its journal salvaged, a new one in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_core.clock import now
from memory_core.errors import NotFound
from memory_core.ids import uuid7
from sync_agent.replica import NewProject, Replica, locked, made_beside, replace_damaged
from sync_agent.sync.locking import sync_lock

if TYPE_CHECKING:
    from pathlib import Path

    from memory_core.records import Document
    from sync_agent.replica import ProjectRow


@dataclass(frozen=True, slots=True)
class Renewed:
    """Where the damaged file is now, and what was saved of its journal."""

    aside: Path
    kept: int
    unreadable: int

    def document(self) -> Document:
        """Returns it as JSON."""
        return {"aside": str(self.aside), "kept": self.kept, "unreadable": self.unreadable}


def renew(path: Path, project: NewProject | None = None) -> Renewed:
    """Puts a new replica in the place of a damaged one, with all of its journal that can be read.

    The next sync reads everything else from the hub. ``project`` is what the replica is to hold
    where the damaged file does not say. The damaged file stays beside the new one.

    Raises:
        NotFound: the file does not say what it held, and ``project`` is not given.
        SyncBusy: another process is synchronising.
        ContextError: the disk does not allow it; the damaged file is in its place.
    """
    # No one writes between what is read of the old file and the rename: numbers would meet.
    with sync_lock(path), locked(path, exclusive=True):
        found = Replica.salvage(path)
        held = [_again(row) for row in found.projects] or ([project] if project else [])
        if not held:
            raise NotFound(f"the damaged file {path} does not say what project it held")
        with made_beside(path, held[0], replica_id=found.replica_id or uuid7()) as fresh:
            for more in held[1:]:
                fresh.add_project(more)
            kept = fresh.carry(found.rows)
            aside = replace_damaged(path, fresh, now())
    return Renewed(aside, kept, found.unreadable)


def _again(row: ProjectRow) -> NewProject:
    return NewProject(
        id=row.id,
        slug=row.slug,
        remotes=row.remotes,
        identity=row.identity,
        parent=row.parent,
        role=row.role,
        hub=row.hub,
        actor=row.actor,
    )
