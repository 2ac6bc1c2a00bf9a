"""Files and folders that only their owner may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sync_agent.errors import LocalFailure


def private_file(path: Path) -> BinaryIO:
    """Opens a new file for writing that nobody else may read (mode 0600).

    Raises:
        FileExistsError: there is one already; nothing that somebody put there is followed.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


@contextmanager
def complete_file(path: Path) -> Iterator[BinaryIO]:
    """Writes a private file beside ``path`` first, so that ``path`` is complete or as it was.

    Raises:
        LocalFailure: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with private_file(temporary) as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(path)
    except OSError as error:
        raise LocalFailure(f"{path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def private_folder(path: Path) -> None:
    """Makes a folder that nobody else may look into (mode 0700); one that is there stays."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
