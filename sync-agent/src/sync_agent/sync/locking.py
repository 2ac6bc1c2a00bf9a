"""One sync of a replica at a time, whoever starts it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory_core.errors import Busy, StorageFull, Unavailable

LOCK_NAME = "sync.lock"


class SyncBusy(Busy):
    """Another process is synchronising this replica."""

    code = "sync_busy"


@contextmanager
def sync_lock(replica: Path) -> Iterator[None]:
    """Holds the replica's sync lock (flock(2)) while the block runs.

    The kernel lets go of it when the process ends, however it ends. Copies of the folder have a
    lock of their own.

    Raises:
        SyncBusy: somebody else holds it.
        StorageFull, Unavailable: the lock's file cannot be made.
    """
    descriptor = _open(replica.with_name(LOCK_NAME))
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SyncBusy from error
        except OSError as error:
            raise Unavailable(f"the replica's folder cannot be locked: {error.strerror}") from error
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"no space left for {path.name}") from error
        raise Unavailable(f"{path} cannot be opened: {error.strerror}") from error
