"""Where the agent keeps its things: one private folder of the user, and a socket.

A second agent for the same folder is refused by a lock (flock(2)) that the kernel lets go of
when its holder ends, however it ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from memory_core.errors import Conflict
from sync_agent.errors import LocalFailure
from sync_agent.files import private_folder

MAX_SOCKET_PATH = 100
"""The shortest ``sun_path`` in use holds 104 bytes (macOS; Linux 108), with the final NUL."""


class AgentRuns(Conflict):
    """An agent of this user runs already."""

    code = "agent_runs"


@dataclass(frozen=True, slots=True)
class AgentFolder:
    """The paths of one user's agent; ``root`` is private to the user."""

    root: Path

    @property
    def registry(self) -> Path:
        """The replicas that the agent takes care of."""
        return self.root / "registry.json"

    @property
    def lock(self) -> Path:
        """Held by the agent that runs; holds its process id."""
        return self.root / "agent.lock"

    @property
    def log(self) -> Path:
        """What the agent wrote down."""
        return self.root / "agent.log"

    @property
    def installed(self) -> Path:
        """What `memctx agent install` set up."""
        return self.root / "installed.json"

    @property
    def stopped(self) -> Path:
        """There after `memctx agent stop`, so that no timer starts the agent again."""
        return self.root / "stopped"

    @property
    def socket(self) -> Path:
        """Where the agent listens; in a folder of its own where the path would be too long."""
        near = self.root / "agent.sock"
        return near if _fits(near) else self.socket_folder / "agent.sock"

    @property
    def socket_folder(self) -> Path:
        """The folder of the socket."""
        if _fits(self.root / "agent.sock"):
            return self.root
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"memory-context-{os.getuid()}-{name}"

    def make(self) -> None:
        """Makes the folders.

        Raises:
            LocalFailure: a folder is not the user's own, or others may look into it.
        """
        for folder in (self.root, self.socket_folder):
            private_folder(folder)
            check_private(folder)


def check_private(folder: Path) -> None:
    """Refuses a folder in which others could put or read things.

    Raises:
        LocalFailure: it is a link, another user's, or open to others.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise LocalFailure(f"{folder} is not a folder of yours")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise LocalFailure(f"others may look into {folder}: chmod 700 {folder}")


@contextmanager
def held(folder: AgentFolder) -> Iterator[None]:
    """Holds the lock of the one agent while the block runs; leaves no file behind.

    Raises:
        AgentRuns: another process holds it; says which.
    """
    while True:
        file = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            pid = holder(folder)
            who = f"process {pid}" if pid else "another process"
            raise AgentRuns(f"the agent runs already ({who})", pid=pid) from None
        if _is_at(file, folder.lock):
            break
        # Its holder removed the file as it ended: the lock that counts is on a new one.
        os.close(file)
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps({"pid": os.getpid()}).encode(), 0)
        yield
    finally:
        with suppress(OSError):
            folder.lock.unlink(missing_ok=True)
        os.close(file)


def holder(folder: AgentFolder) -> int | None:
    """Returns the process id of the agent that runs, or None."""
    try:
        with folder.lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                content = json.loads(file.read(1000) or b"{}")
            else:
                return None
    except (OSError, ValueError):
        return None
    pid = content.get("pid") if isinstance(content, dict) else None
    return pid if isinstance(pid, int) else None


def runs(folder: AgentFolder) -> bool:
    """Says whether an agent holds the lock."""
    try:
        with folder.lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH


def _is_at(file: int, path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    held_file = os.fstat(file)
    return (held_file.st_dev, held_file.st_ino) == (found.st_dev, found.st_ino)
