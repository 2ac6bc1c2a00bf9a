"""Files and folders that only their owner may read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def private_file(path: Path) -> BinaryIO:
    """Opens a new file for writing that nobody else may read (mode 0600).

    Raises:
        FileExistsError: there is one already; nothing that somebody put there is followed.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def private_folder(path: Path) -> None:
    """Makes a folder that nobody else may look into (mode 0700); one that is there stays."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
