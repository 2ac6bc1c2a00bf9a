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
from sync_agent.replica.failpoints import reached
from sync_agent.replica.schema import BUSY_SECONDS, check_header, open_file, translated

_POLL_SECONDS = 0.02


def lock_path(path: Path) -> Path:
    """Returns the lock file of a replica."""
    return path.with_suffix(".lock")


@contextmanager
def locked(path: Path, *, exclusive: bool, wait: float = BUSY_SECONDS) -> Iterator[None]:
    """Holds the lock on which file the name ``path`` means (flock(2)).

    Writers share it; who puts another file in the place has it alone.

    Raises:
        Busy: others held it for all of ``wait`` seconds.
        ReplicaReadOnly: the lock file cannot be made.
    """
    try:
        handle = os.open(lock_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ReplicaReadOnly(
            f"{path.parent} must be writable to use the replica in it: {error.strerror}"
        ) from error
    try:
        end = time.monotonic() + wait
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
        self._open()

    def _open(self) -> None:
        check_header(self.path)
        with locked(self.path, exclusive=False):
            self._connection = open_file(self.path)
            self._inode = _inode(self.path)

    @property
    def journal_mode(self) -> str:
        """``wal``, or the mode that this file system allows: writers then wait for readers."""
        with self._turn, translated(self.path):
            return str(self._connection.execute("PRAGMA journal_mode").fetchone()[0])

    def close(self) -> None:
        """Closes the connection; a later call of anything else raises `Unavailable`."""
        with self._turn:
            self._closed = True
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Opens a view of one moment."""
        with self._turn:
            self._follow()
            with translated(self.path):
                if self._connection.in_transaction:
                    yield self._connection
                    return
                self._connection.execute("BEGIN")
                try:
                    yield self._connection
                finally:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Commits what is done inside once it is on the disk, or undoes it.

        Raises:
            Busy: another process writes for more than 5 s.
            StorageFull, Corrupt, ReplicaReadOnly, Unavailable: nothing is changed.
        """
        with self._turn, locked(self.path, exclusive=False):
            self._follow()
            with translated(self.path):
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    reached("before-commit")
                    self._connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                    raise
                reached("after-commit")

    def truncate_log(self) -> bool:
        """Empties the write-ahead log into the file; False while a reader still needs it."""
        with self._turn, locked(self.path, exclusive=False):
            self._follow()
            with translated(self.path):
                try:
                    row = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                except sqlite3.OperationalError:
                    return False
        return not row[0]

    def _follow(self) -> None:
        """Opens the file anew if the name means another one by now."""
        if self._closed:
            raise Unavailable(f"the replica {self.path} is closed")
        if self._connection.in_transaction:
            return
        if _inode(self.path) != self._inode:
            # SQLite sees that its file has moved and leaves the files of the new one alone.
            self._connection.close()
            self._closed = True
            self._open()
            self._closed = False


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
