"""The replica's SQLite file: its tables, how it is made and how it is opened."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memory_core.errors import Busy, Corrupt, StorageFull, Unavailable
from sync_agent.errors import ReplicaMissing, ReplicaReadOnly, ReplicaTooNew

FORMAT = 1
APPLICATION_ID = 0x6D637872  # "mcxr"
BUSY_SECONDS = 5.0
ASIDE = ".damaged-"
_ROOM_BYTES = 64 * 1024
"""What SQLite asks for at once: a piece of the memory that its connections share is 32 KiB."""

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL,
    role TEXT NOT NULL,
    hub TEXT,
    remotes TEXT NOT NULL,
    identity TEXT NOT NULL,
    parent TEXT,
    actor TEXT NOT NULL,
    epoch TEXT,
    cursor INTEGER NOT NULL DEFAULT 0,
    chain BLOB NOT NULL,
    floor INTEGER NOT NULL DEFAULT 0,
    head INTEGER NOT NULL DEFAULT 0,
    doc TEXT,
    change_no INTEGER NOT NULL DEFAULT 0,
    last_number INTEGER NOT NULL DEFAULT 0,
    confirmed INTEGER NOT NULL DEFAULT 0,
    last_sync_at TEXT,
    last_error TEXT
) WITHOUT ROWID;
CREATE TABLE log (
    project_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    kind TEXT NOT NULL,
    record_id TEXT NOT NULL,
    parent_id TEXT,
    op_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    fields TEXT,
    PRIMARY KEY (project_id, seq)
) WITHOUT ROWID;
CREATE INDEX log_by_record ON log (record_id, seq) WHERE kind <> 'message';
CREATE TABLE records (
    place INTEGER PRIMARY KEY,
    project_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    root TEXT NOT NULL,
    parent TEXT,
    seq INTEGER NOT NULL DEFAULT 0,
    base TEXT,
    base_hash BLOB,
    view TEXT,
    change_no INTEGER NOT NULL,
    created_at TEXT,
    position INTEGER,
    privacy TEXT,
    owner TEXT,
    deleted INTEGER NOT NULL,
    evicted INTEGER NOT NULL DEFAULT 0,
    pinned INTEGER NOT NULL DEFAULT 0,
    used_at TEXT,
    UNIQUE (id, kind)
);
CREATE INDEX records_by_root ON records (root, kind, position);
CREATE INDEX records_by_time ON records (project_id, kind, created_at, id);
CREATE INDEX records_by_change ON records (project_id, change_no);
CREATE INDEX records_viewed ON records (root) WHERE view IS NOT NULL;
CREATE INDEX child_sessions ON records (parent) WHERE kind = 'session' AND parent IS NOT NULL;
CREATE TABLE journal (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    op_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    record_id TEXT NOT NULL,
    root TEXT NOT NULL,
    type TEXT NOT NULL,
    base TEXT,
    body TEXT,
    at TEXT NOT NULL,
    hash BLOB NOT NULL,
    row_hash BLOB NOT NULL,
    state TEXT NOT NULL,
    overlaid INTEGER NOT NULL,
    outcome TEXT,
    seq INTEGER,
    settle_at INTEGER,
    result TEXT,
    made_at TEXT NOT NULL,
    settled_at TEXT,
    UNIQUE (project_id, number)
);
CREATE INDEX journal_by_root ON journal (root) WHERE overlaid = 1;
CREATE INDEX journal_by_state ON journal (project_id, state, number);
"""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns the driver's errors into ours.

    Raises:
        Corrupt, Busy, StorageFull, ReplicaReadOnly, Unavailable: by the driver's result code.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        primary = code & 0xFF if code is not None else None
        if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise Corrupt(
                f"the replica {path} is damaged; `memctx sync repair` builds it anew and keeps"
                " what can still be read of your own work"
            ) from error
        if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise Busy(f"the replica {path} is used by another process") from error
        if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _is_full(path)):
            raise StorageFull(f"no space is left for the replica {path}") from error
        if primary == sqlite3.SQLITE_READONLY:
            raise ReplicaReadOnly(f"the replica {path} cannot be written") from error
        raise Unavailable(f"the replica {path} cannot be used: {error}") from error


def _is_full(path: Path) -> bool:
    """Says whether the disk has no room: SQLite calls that an I/O error where it shares memory."""
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _ROOM_BYTES


def make_file(path: Path) -> sqlite3.Connection:
    """Makes an empty replica, readable for its user alone.

    Raises:
        FileExistsError: there is a file already.
        ReplicaReadOnly, StorageFull, Unavailable: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close_to_others(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise
    except OSError as error:
        raise ReplicaReadOnly(f"{path} cannot be made: {error.strerror}") from error
    with translated(path):
        connection = _connect(path)
        try:
            # Only an empty file takes this: freed pages can then be given back bit by bit.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            _set_up(connection)
            connection.execute("BEGIN EXCLUSIVE")
            for statement in filter(str.strip, TABLES.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection


def _close_to_others(folder: Path) -> None:
    """Takes from others the right to write into a folder, for example one that Git has made."""
    mode = folder.stat().st_mode
    if mode & 0o022:
        folder.chmod(stat.S_IMODE(mode) & ~0o022)


def open_file(path: Path) -> sqlite3.Connection:
    """Opens a replica. A file that is damaged or of a newer version is not touched.

    Raises:
        ReplicaMissing: there is none.
        ReplicaTooNew: a newer version made it.
        Corrupt: it is damaged, or no replica.
        ReplicaReadOnly: it, or its folder, cannot be written.
        Busy, Unavailable: it cannot be opened now.
    """
    check_there(path)
    if not os.access(path.parent, os.W_OK) or not os.access(path, os.W_OK):
        raise ReplicaReadOnly(
            f"{path} cannot be written, and its folder must be writable too: SQLite keeps its"
            " write-ahead log beside the file"
        )
    with translated(path):
        connection = _connect(path)
        try:
            _check_format(connection, path)
            _set_up(connection)
            connection.execute("SELECT count(*) FROM meta").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection


def check_there(path: Path) -> None:
    """Says whether there is something to open, without opening it.

    No process that may use a replica opens its file but through SQLite: closing any descriptor
    of a file drops every lock the process has on it (fcntl(2)), also those of its connections,
    and another process then takes the write-ahead log away from under them
    (https://sqlite.org/howtocorrupt.html, section 2.2).

    Raises:
        ReplicaMissing: there is none.
        Corrupt: the file is empty.
        Unavailable: it cannot be looked at.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise ReplicaMissing(f"there is no replica at {path}; `memctx init` makes one") from error
    except OSError as error:
        raise Unavailable(f"the replica {path} cannot be read: {error.strerror}") from error
    if size == 0:
        raise Corrupt(f"the replica {path} is damaged: the file is empty")


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    """Looks whose file it is and in which format, before anything is set in it."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise Corrupt(
            f"the replica {path} is damaged: it is a database of something else, or was never"
            " finished"
        )
    if version > FORMAT:
        raise ReplicaTooNew(
            f"{path} has format {version}, this version of memory-context reads up to {FORMAT};"
            " upgrade memory-context; the file was not changed"
        )


def beside(path: Path) -> tuple[Path, ...]:
    """Returns the files that SQLite may keep beside a database."""
    return tuple(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))


def remove_damaged(path: Path) -> None:
    """Removes the damaged files that were set aside from the place of a replica.

    Raises:
        ReplicaReadOnly: one cannot be removed.
    """
    try:
        for each in path.parent.glob(f"{path.name}{ASIDE}*"):
            each.unlink(missing_ok=True)
    except OSError as error:
        raise ReplicaReadOnly(f"{error.filename} cannot be removed: {error.strerror}") from error


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _set_up(connection: sqlite3.Connection) -> None:
    # What was said to be saved must survive a power cut: every commit waits for the disk.
    connection.execute("PRAGMA synchronous = FULL")
    # Readers go on while somebody writes. Where the file system cannot share memory SQLite
    # answers with the mode it keeps, and a writer then waits for readers.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
    # Erased content must not stay in free pages.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    # After a checkpoint the log shrinks to 16 MiB again.
    connection.execute("PRAGMA journal_size_limit = 16777216")
    connection.execute("PRAGMA temp_store = MEMORY")
