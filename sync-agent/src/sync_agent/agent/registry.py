"""Which replicas the agent takes care of: a small file in the user's state folder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from memory_core.clock import now
from sync_agent.errors import InvalidConfig
from sync_agent.files import complete_file, private_folder

T = TypeVar("T")

VERSION = 1
MAX_ENTRIES = 10_000
MAX_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Registered:
    """A replica: ``path`` is its file, ``root`` the folder whose project it holds, ``project``
    the slug to show, ``added_at`` a time."""

    path: Path
    root: Path
    project: str
    paused: bool = False
    added_at: str = ""

    @property
    def missing(self) -> bool:
        """Says whether its file is gone."""
        return not self.path.is_file()


class Registry:
    """The file; each change reads it, changes it and writes it whole, one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> list[Registered]:
        """Returns all replicas, those whose file is gone too, in the order of their paths.

        Raises:
            InvalidConfig: the file is not a registry, or one of a newer version.
        """
        try:
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return []
        if len(text) > MAX_BYTES:
            raise InvalidConfig(f"{self._path} is larger than {MAX_BYTES} bytes")
        return _parsed(self._path, text)

    def changed_at(self) -> tuple[int, int, int] | None:
        """Returns what tells one state of the file from another, None without a file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def add(self, path: Path, project: str, *, root: Path | None = None) -> bool:
        """Takes in a replica, and says whether it is new; one that is there keeps its pause.

        ``root`` is the folder whose project it holds, by default the one that its folder is in.

        Raises:
            InvalidConfig: there are 10,000 replicas already.
        """
        path = path.absolute()
        root = root.absolute() if root is not None else path.parent.parent

        def change(entries: dict[Path, Registered]) -> bool:
            old = entries.get(path)
            if old is None and len(entries) >= MAX_ENTRIES:
                raise InvalidConfig(f"more than {MAX_ENTRIES} replicas are registered")
            if old is None:
                entries[path] = Registered(path, root, project, added_at=now())
            else:
                entries[path] = replace(old, root=root, project=project)
            return old is None

        known = {entry.path: entry for entry in self.entries()}.get(path)
        if known is not None and (known.root, known.project) == (root, project):
            return False
        return self._change(change)

    def remove(self, path: Path) -> bool:
        """Forgets a replica; its file stays. Says whether it was there."""
        return self._change(lambda entries: entries.pop(path.absolute(), None) is not None)

    def pause(self, path: Path, *, paused: bool) -> bool:
        """Pauses or resumes a replica; says whether it is registered."""

        def change(entries: dict[Path, Registered]) -> bool:
            entry = entries.get(path.absolute())
            if entry is not None:
                entries[entry.path] = replace(entry, paused=paused)
            return entry is not None

        return self._change(change)

    def prune(self) -> list[Registered]:
        """Forgets the replicas whose file is gone, and returns them."""

        def change(entries: dict[Path, Registered]) -> list[Registered]:
            gone = [entry for entry in entries.values() if entry.missing]
            for entry in gone:
                del entries[entry.path]
            return gone

        return self._change(change)

    def _change(self, change: Callable[[dict[Path, Registered]], T]) -> T:
        private_folder(self._path.parent)
        with self._locked():
            before = {entry.path: entry for entry in self.entries()}
            after = dict(before)
            result = change(after)
            if after != before:
                self._write(after)
            return result

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The folder itself is locked: a lock file beside it would be left behind.
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, entries: dict[Path, Registered]) -> None:
        rows = [
            asdict(entry) | {"path": str(entry.path), "root": str(entry.root)}
            for entry in sorted(entries.values(), key=lambda entry: entry.path)
        ]
        content = json.dumps({"version": VERSION, "replicas": rows}, indent=1)
        with complete_file(self._path) as file:
            file.write(content.encode("utf-8", "surrogateescape") + b"\n")


def _parsed(path: Path, text: bytes) -> list[Registered]:
    try:
        content = json.loads(text.decode("utf-8", "surrogateescape"))
        version = content["version"]
        if version == VERSION:
            return sorted(
                (_entry(row) for row in content["replicas"]), key=lambda entry: entry.path
            )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidConfig(
            f"{path} is not a list of replicas: remove it, then `memctx agent install` in each"
        ) from error
    raise InvalidConfig(f"{path} was written by a newer version ({version!r}): update memctx")


def _entry(row: dict[str, object]) -> Registered:
    path, root, project, paused = row["path"], row["root"], row["project"], row["paused"]
    added_at = row.get("added_at", "")
    if not (
        isinstance(path, str)
        and isinstance(root, str)
        and isinstance(project, str)
        and isinstance(paused, bool)
        and isinstance(added_at, str)
        and Path(path).is_absolute()
        and Path(root).is_absolute()
    ):
        raise ValueError(path)
    return Registered(Path(path), Path(root), project, paused, added_at)
