"""The folder of the data: private, and used by one hub at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory_core.errors import Busy, StorageFull, Unavailable

LOCK = "hub.lock"


@contextmanager
def opened(folder: Path) -> Iterator[Path]:
    """Makes the folder if needed and holds its lock, which dies with the process.

    Raises:
        Busy: another hub uses the folder.
        Unavailable: the folder cannot be made or written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == 28:
            raise StorageFull(f"the disk that holds {folder} is full") from error
        raise Unavailable(f"the data folder {folder} cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Busy(
                f"another hub uses {folder}; stop it, or choose another MEMCTX_DATA_DIR"
            ) from error
        yield folder
    finally:
        os.close(descriptor)
