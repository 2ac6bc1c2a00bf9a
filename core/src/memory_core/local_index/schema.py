"""The index's own SQLite file: its tables, how it is opened, and what is done if it is damaged.

The file is derived data. It can be deleted at any time: it is then empty, and whoever fills it
starts at progress 0.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memory_core.errors import Busy, Corrupt, StorageFull, Unavailable
from memory_core.recall.stored import FORMAT

WAITING, EMBEDDED, DEAD = 0, 1, 2
"""The states of a chunk: its text waits for its vector, has it, or cannot be embedded."""

_APPLICATION_ID = 0x6D637869  # "mcxi"

_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE projects (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    lexical_seq INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE units (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    project INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    alive INTEGER NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT,
    position INTEGER NOT NULL,
    role TEXT NOT NULL,
    tool INTEGER NOT NULL,
    question INTEGER NOT NULL,
    author TEXT NOT NULL,
    owner_id TEXT,
    created REAL NOT NULL,
    quality REAL NOT NULL,
    size INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    digest BLOB NOT NULL
);
CREATE UNIQUE INDEX units_by_record ON units (project, kind, id) WHERE alive;
CREATE INDEX units_by_revision ON units (project, revision);
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    project INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL,
    vector INTEGER,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    length INTEGER NOT NULL,
    hash BLOB NOT NULL,
    terms BLOB NOT NULL,
    frequencies BLOB NOT NULL
);
CREATE INDEX chunks_by_unit ON chunks (unit);
CREATE INDEX chunks_by_hash ON chunks (hash);
CREATE INDEX chunks_by_revision ON chunks (project, revision);
CREATE INDEX chunks_not_embedded ON chunks (project, state, seq) WHERE state != 1;
CREATE TABLE pending (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE TABLE dead (
    model INTEGER NOT NULL,
    hash BLOB NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (model, hash)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS models (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dimension INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS vectors (
    number INTEGER PRIMARY KEY,
    model INTEGER NOT NULL,
    hash BLOB NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (model, hash)
);
"""

_MEND = "delete this file (and its -wal and -shm) while nothing uses it: it is built anew"


def open_writer(path: Path) -> sqlite3.Connection:
    """Opens the file for writing; makes it if it is not there or has an older format.

    Raises:
        Corrupt: the file is damaged, or is no index.
        Busy: another process holds it.
        Unavailable: it cannot be opened.
    """
    with translated(path):
        connection = _connect(path, "rwc")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may lose the last writes; progress is lost with them, so the
            # indexer repeats them. FULL would only make every small apply wait for the disk.
            connection.execute("PRAGMA synchronous = NORMAL")
            # Deleted text must not stay readable in free pages: erasing must erase.
            connection.execute("PRAGMA secure_delete = ON")
            _prepare(connection, path)
            _name(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Opens the file for reading only.

    Raises:
        Corrupt, Busy, Unavailable: as for the writer.
    """
    with translated(path):
        connection = _connect(path, "ro")
        connection.execute("PRAGMA query_only = ON")
        return connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns the driver's errors into ours.

    Raises:
        Corrupt, Busy, StorageFull, Unavailable: by the driver's result code.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        primary = code & 0xFF if code is not None else None
        if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise Corrupt(f"the index {path} is damaged; {_MEND}") from error
        if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise Busy(f"the index {path} is used by another process") from error
        if primary == sqlite3.SQLITE_FULL:
            raise StorageFull(f"no space is left for the index {path}") from error
        raise Unavailable(f"the index {path} cannot be used: {error}") from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=5.0,
        isolation_level=None,
        check_same_thread=False,
    )


def _name(connection: sqlite3.Connection) -> None:
    """Gives the file a number of its own, by which what is kept beside it knows it."""
    if connection.execute("SELECT 1 FROM settings WHERE name = 'identity'").fetchone() is None:
        connection.execute(
            "INSERT OR IGNORE INTO settings (name, value) VALUES ('identity', ?)",
            (secrets.randbits(62),),
        )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not empty and application != _APPLICATION_ID:
        raise Corrupt(f"{path} is not an index of memory-context; {_MEND}")
    if not empty and version == FORMAT:
        return
    connection.execute("BEGIN EXCLUSIVE")
    try:
        _drop_all(connection)
        for statement in filter(str.strip, _TABLES.split(";")):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _drop_all(connection: sqlite3.Connection) -> None:
    # Vectors are keyed by the text that they were made of: they hold in every format.
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    for (name,) in names:
        if name not in {"models", "vectors"}:
            connection.execute(f'DROP TABLE "{name}"')
