"""A file beside the replica's own, in which one project begins anew."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from memory_core.errors import StorageFull, Unavailable
from sync_agent.replica.file import lock_path, locked, writer_path
from sync_agent.replica.meta import set_identity
from sync_agent.replica.model import NewProject
from sync_agent.replica.schema import beside, open_file, translated
from sync_agent.replica.store import Replica

_SUFFIX = ".rebuilt"


@contextmanager
def copy_beside(path: Path) -> Iterator[Replica]:
    """Yields a copy of the replica at ``path`` under the same identity.

    `swap` may put it in the place of the first; what is left of it in the end is removed.

    Raises:
        StorageFull, Unavailable: there is no room for a second file.
    """
    fresh = path.with_name(path.name + _SUFFIX)
    remove_unfinished(path)
    try:
        _copy(path, fresh)
        with Replica.open(fresh) as replica:
            yield replica
    finally:
        _remove(fresh)


@contextmanager
def made_beside(path: Path, project: NewProject, *, replica_id: str) -> Iterator[Replica]:
    """Yields an empty replica beside a damaged one, for `replace_damaged`.

    What is left of it in the end is removed.

    Raises:
        ReplicaReadOnly, StorageFull, Unavailable: it cannot be made.
    """
    fresh = path.with_name(path.name + _SUFFIX)
    remove_unfinished(path)
    try:
        with Replica.create(fresh, project, replica_id=replica_id) as replica:
            yield replica
    finally:
        _remove(fresh)


def remove_unfinished(path: Path) -> None:
    """Removes the copy that a process which died has left beside the replica at ``path``.

    No erasure would ever reach it. Only for who has the replica's sync lock.
    """
    _remove(path.with_name(path.name + _SUFFIX))


def _copy(path: Path, fresh: Path) -> None:
    try:
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise Unavailable(f"{fresh} cannot be made: {error.strerror}") from error
    with (
        locked(path, exclusive=False),
        translated(path),
        closing(open_file(path)) as source,
        closing(sqlite3.connect(fresh, isolation_level=None)) as target,
    ):
        try:
            source.backup(target)
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise StorageFull(f"no space is left for {fresh}") from error
            raise
        name = target.execute("SELECT value FROM meta WHERE name = 'replica_id'").fetchone()
        set_identity(target, fresh, str(name[0]))


def _remove(path: Path) -> None:
    for each in (path, *beside(path), lock_path(path), writer_path(path)):
        each.unlink(missing_ok=True)
