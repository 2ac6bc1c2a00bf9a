"""The state of the git repository in the current folder."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

# A repository's own configuration can name programs that git would start; none is needed here.
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-optional-locks")
_SECONDS = 10
_MAX_FILES = 200


@dataclass(frozen=True, slots=True)
class WorkingState:
    """Commit and branch (None before the first commit or when detached), changed files."""

    commit: str | None
    branch: str | None
    status: str
    files: tuple[str, ...]


def working_state(folder: Path | None = None) -> WorkingState | None:
    """Returns the state of the repository that ``folder`` lies in, or None without one."""
    here = folder or Path.cwd()
    status = _git(here, "status", "--porcelain=v1", "-z", "--untracked-files=normal")
    if status is None:
        return None
    names = []
    entries = iter(status.split("\0"))
    for entry in entries:
        if len(entry) > 3:
            names.append(entry)
            if entry[0] in "RC":
                next(entries, None)
    branch = _git(here, "symbolic-ref", "--short", "-q", "HEAD")
    commit = _git(here, "rev-parse", "-q", "--verify", "HEAD")
    return WorkingState(
        commit=(commit or "").strip() or None,
        branch=(branch or "").strip() or None,
        status="\n".join(_printable(name) for name in names[:_MAX_FILES]),
        files=tuple(_printable(name[3:]) for name in names[:_MAX_FILES]),
    )


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ("git", *_SAFE, *arguments),  # noqa: S607 - the user's own git
            cwd=folder,
            capture_output=True,
            check=True,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in name)[:1024]
