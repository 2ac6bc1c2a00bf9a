"""The open file of a replica: one connection, its transactions, and who else has the file."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memory_core.errors import Busy, Unavailable
from sync_agent.errors import ReplicaReadOnly
from sync_agent.replica import schema
from sync_agent.replica.failpoints import reached
from sync_agent.replica.schema import check_there, open_file, translated

_POLL_SECONDS = 0.005
_PURGE_MS = 500


def lock_path(path: Path) -> Path:
    """Returns the lock file of a replica."""
    return path.with_suffix(".lock")


def writer_path(path: Path) -> Path:
    """Returns the lock file of who writes into a replica."""
    return path.with_suffix(".writer")


@contextmanager
def locked(path: Path, *, exclusive: bool, wait: float | None = None) -> Iterator[None]:
    """Holds the lock on which file the name ``path`` means.

    Writers share it; who puts another file in the place has it alone.

    Raises:
        Busy: others held it for all of ``wait`` seconds, 5 unless given.
        ReplicaReadOnly: the lock file cannot be made.
    """
    with _flock(path, lock_path(path), exclusive=exclusive, wait=wait):
        yield


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds the locks of the one who writes into the file, or takes its log into it.

    SQLite lets only one write at a time anyway. But before version 3.51.3 two connections that
    write and empty the write-ahead log at the same instant can lose a page; these never do.

    Raises as `locked`.
    """
    with (
        locked(path, exclusive=False),
        _flock(path, writer_path(path), exclusive=True, wait=None),
    ):
        yield


@contextmanager
def _flock(path: Path, file: Path, *, exclusive: bool, wait: float | None) -> Iterator[None]:
    """Holds an advisory lock on a file (flock(2)); the kernel frees it when the process ends."""
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ReplicaReadOnly(
            f"{path.parent} must be writable to use the replica in it: {error.strerror}"
        ) from error
    try:
        end = time.monotonic() + (schema.BUSY_SECONDS if wait is None else wait)
        mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        while True:
            try:
                fcntl.flock(handle, mode | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise Busy(f"the replica {path} is used by another process") from error
                time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(handle)


class ReplicaFile:
    """One connection to the file at ``path``. Threads may share it; they take turns.

    When another process has put a new file in the place, the next transaction uses that one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._current()

    @property
    def journal_mode(self) -> str:
        """``wal``, or the mode that this file system allows: writers then wait for readers."""
        with self._turn, translated(self.path):
            return str(self._current().execute("PRAGMA journal_mode").fetchone()[0])

    def close(self) -> None:
        """Closes the connection; a later call of anything else raises `Unavailable`."""
        with self._turn:
            self._closed = True
            if self._connection is None:
                return
            try:
                # Whoever closes last takes the write-ahead log into the file.
                with _alone(self.path):
                    self._connection.close()
            except (Busy, ReplicaReadOnly):
                self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Opens a view of one moment."""
        with self._turn:
            connection = self._current()
            with translated(self.path):
                if connection.in_transaction:
                    yield connection
                    return
                connection.execute("BEGIN")
                try:
                    yield connection
                finally:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Commits what is done inside once it is on the disk, or undoes it.

        Raises:
            Busy: another process writes for more than 5 s.
            StorageFull, Corrupt, ReplicaReadOnly, Unavailable: nothing is changed.
        """
        with self._turn, _alone(self.path):
            connection = self._current()
            with translated(self.path):
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    reached("before-commit")
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
                reached("after-commit")

    def truncate_log(self) -> bool:
        """Empties the write-ahead log into the file; False while a reader still needs it."""
        with self._turn, _alone(self.path):
            connection = self._current()
            with translated(self.path):
                connection.execute(f"PRAGMA busy_timeout = {_PURGE_MS}")
                try:
                    row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                except sqlite3.OperationalError:
                    return False
                finally:
                    connection.execute(
                        f"PRAGMA busy_timeout = {round(schema.BUSY_SECONDS * 1_000)}"
                    )
        return not row[0]

    def rewrite(self) -> bool:
        """Writes the file anew, without remains; False while another process needs the old one.

        SQLite zeroes what is deleted, but not what it leaves behind where it moves rows about in
        its pages: a piece of text that is gone since can still lie between them.
        """
        with self._turn, _alone(self.path):
            connection = self._current()
            with translated(self.path):
                try:
                    # As large as the replica: not in memory.
                    connection.execute("PRAGMA temp_store = FILE")
                    connection.execute("VACUUM")
                except sqlite3.OperationalError:
                    return False
                finally:
                    connection.execute("PRAGMA temp_store = MEMORY")
        return self.truncate_log()

    def _current(self) -> sqlite3.Connection:
        """Returns the connection, to another file if the name means another one by now."""
        if self._closed:
            raise Unavailable(f"the replica {self.path} is closed")
        connection = self._connection
        if connection is not None:
            if connection.in_transaction or _inode(self.path) == self._inode:
                return connection
            # SQLite sees that its file is no longer in its place, and leaves all files alone.
            connection.close()
            self._connection = None
        check_there(self.path)
        with locked(self.path, exclusive=False):
            connection = open_file(self.path)
            self._connection, self._inode = connection, _inode(self.path)
        return connection


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
