"""Another file in a replica's place: a rebuilt one, or none where the old one is damaged."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from memory_core.errors import Busy
from sync_agent.replica import journal, projects
from sync_agent.replica.failpoints import reached
from sync_agent.replica.file import lock_path, locked, writer_path
from sync_agent.replica.model import JournalRow
from sync_agent.replica.schema import ASIDE, beside, open_file, translated
from sync_agent.replica.store import Replica

_ALL_ROWS = -(2**63)


def swap(path: Path, fresh: Replica) -> None:
    """Puts a rebuilt file in the place of ``path``, with all that the old journal holds.

    ``fresh`` is closed by that. Until the one rename the old file is whole and in use.

    Raises:
        Busy: a reader keeps the old file's write-ahead log for more than 5 s; try again.
        Corrupt: the old file cannot be read; use `set_aside` and `Replica.salvage`.
    """
    with locked(path, exclusive=True):
        with closing(open_file(path)) as old, translated(path):
            replica_id = old.execute("SELECT value FROM meta WHERE name = 'replica_id'").fetchone()
            fresh.carry(every_row(old), replica_id=str(replica_id[0]))
            # A rename must not leave a log beside the name that belongs to the other file.
            _empty_log(old, path)
        fresh.truncate_log()
        fresh.close()
        reached("before-swap")
        for name in beside(path):
            name.unlink(missing_ok=True)
        fresh.path.replace(path)
        _sync_folder(path.parent)
        for name in (*beside(fresh.path), lock_path(fresh.path), writer_path(fresh.path)):
            name.unlink(missing_ok=True)
    reached("after-swap")


def set_aside(path: Path, moment: str) -> Path:
    """Renames a damaged replica, and what SQLite keeps beside it; returns its new name.

    ``moment`` is a time, of which the digits go into the name.
    """
    with locked(path, exclusive=True):
        aside = _link_aside(path, moment)
        path.unlink()
        _sync_folder(path.parent)
    return aside


def replace_damaged(path: Path, fresh: Replica, moment: str) -> Path:
    """Puts ``fresh`` in the place of a damaged replica; returns the damaged one's new name.

    ``fresh`` is closed by that. Only for who holds `locked` on ``path`` alone. At every moment
    one of the two files has the name.
    """
    fresh.truncate_log()
    fresh.close()
    reached("before-renewal")
    aside = _link_aside(path, moment)
    fresh.path.replace(path)
    _sync_folder(path.parent)
    return aside


def _link_aside(path: Path, moment: str) -> Path:
    """Gives a damaged replica a second name; what SQLite keeps beside it has only that one."""
    digits = "".join(character for character in moment if character.isdigit())[:14]
    aside = path.with_name(f"{path.name}{ASIDE}{digits}")
    aside.unlink(missing_ok=True)
    os.link(path, aside)
    for name in beside(path):
        with suppress(FileNotFoundError):
            name.replace(name.with_name(name.name.replace(path.name, aside.name, 1)))
    return aside


def every_row(connection: sqlite3.Connection) -> list[JournalRow]:
    """Returns the journals of all projects."""
    return [
        row
        for project in projects.every(connection)
        for row in journal.rows(connection, project.id, after=_ALL_ROWS)
    ]


def _empty_log(connection: sqlite3.Connection, path: Path) -> None:
    row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if row[0]:
        raise Busy(f"a reader of {path} keeps its write-ahead log; try again")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
