"""Where the replica of a folder's project lies.

In the root of the repository's main working tree, so that all worktrees share it; a submodule
has its own, and so has a folder that a marker file names as a project. With ``user`` it lies in
the user's data folder instead, by the project's identity. Finding one reads no git files but
those of a linked worktree, because every command does it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from sync_agent.config import user_data_directory
from sync_agent.errors import ReplicaNotOwn

if TYPE_CHECKING:
    from memory_core.identity import ProjectIdentity

FOLDER = ".memctx"
FILE = "replica.db"
INDEX = "index.db"
IGNORE = ".gitignore"


def find_replica(cwd: Path) -> Path | None:
    """Returns the replica file for a folder, None if there is none.

    A folder whose marker names a project never gets the replica of the one around it.

    Raises:
        InvalidMarker: a marker applies below the root of the repository and cannot be used.
    """
    here = cwd.absolute()
    root = None
    for folder in (here, *here.parents):
        if (folder / FOLDER / FILE).is_file():
            return folder / FOLDER / FILE
        if (folder / ".git").exists():
            root = folder
            break
        if _names_project(folder, here):
            break
        if folder == here and not any((above / ".git").exists() for above in here.parents):
            # Outside a repository, others may write above this folder.
            break
    if root is not None and (root / ".git").is_file():
        path = main_tree(root) / FOLDER / FILE
        if path.is_file():
            return path
    return _of_user(here)


def place_of(identity: ProjectIdentity, cwd: Path, *, user: bool = False) -> Path:
    """Returns where the replica of a project is to be made."""
    if user:
        return user_place(identity)
    root = identity.root or cwd.absolute()
    return (root if identity.kind == "marker" else main_tree(root)) / FOLDER / FILE


def user_place(identity: ProjectIdentity) -> Path:
    """Returns where the replica of a project lies in the user's own folder."""
    known = identity.project_id or "\n".join(identity.remotes) or f"{identity.kind} {identity.slug}"
    name = hashlib.sha256(known.encode()).hexdigest()[:16]
    return user_data_directory() / "replicas" / name / FILE


def check_own(path: Path) -> None:
    """Refuses a replica that somebody else may have put there, for example with a repository.

    Git keeps no modes, so what comes with a clone is readable for others as usual. The folder
    counts too: who can write it can put another file in the place.

    Raises:
        ReplicaNotOwn: the file or its folder is another user's or a link, or others can read or
            write the file, or write the folder.
    """
    try:
        folder, found = path.parent.lstat(), path.lstat()
    except OSError:
        return
    if not stat.S_ISDIR(folder.st_mode):
        raise ReplicaNotOwn(f"{path.parent} is no plain folder")
    if not stat.S_ISREG(found.st_mode):
        raise ReplicaNotOwn(f"{path} is no plain file")
    if os.name != "posix":
        return
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ReplicaNotOwn(
            f"{path} is not private to you, so `memctx init` did not make it here: whoever wrote"
            " it decides what your agents are told. Delete it, or if it is yours: chmod 600"
        )
    if folder.st_uid != os.getuid() or folder.st_mode & 0o022:
        raise ReplicaNotOwn(
            f"the folder {path.parent} is another user's or can be written by others: who can"
            " write it decides what your agents are told. If it is yours: chmod 700"
        )


def home_of(replica: Path) -> Path | None:
    """Returns the folder that a replica lies in, None for one in the user's own folder."""
    return replica.parent.parent if replica.parent.name == FOLDER else None


def index_of(replica: Path) -> Path:
    """Returns the index file that belongs to a replica; it can be deleted at any time."""
    return replica.with_name(INDEX)


def main_tree(root: Path) -> Path:
    """Returns the root of the main working tree of the repository at ``root``.

    A repository without one (bare, with linked worktrees) has that of ``root``.
    """
    from memory_core.git_files import find_repository  # noqa: PLC0415 - most calls need it not

    repository = find_repository(root.resolve())
    if repository is None or repository.root != root.resolve():
        return root
    common = repository.common_dir
    return common.parent if common.name == ".git" else root


def _names_project(folder: Path, below: Path) -> bool:
    if not (folder / ".memctx.toml").is_file():
        return False
    from memory_core.identity import names_project  # noqa: PLC0415 - only where a marker is

    return names_project(folder, below)


def _of_user(cwd: Path) -> Path | None:
    if not (user_data_directory() / "replicas").is_dir():
        return None
    from memory_core.errors import ContextError  # noqa: PLC0415
    from memory_core.identity import identify  # noqa: PLC0415 - only where such replicas are

    try:
        path = user_place(identify(cwd))
    except ContextError:
        return None
    return path if path.is_file() else None
