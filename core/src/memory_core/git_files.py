"""The little of git's files that tells repositories apart, read without running git."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_MAX_FILE = 1024 * 1024
_MAX_DEPTH = 8
_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)\s*(?:"((?:[^"\\]|\\.)*)")?\s*\]')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_VALUE_ESCAPES = {"n": "\n", "t": "\t", "b": "\b"}


@dataclass(frozen=True, slots=True)
class Repository:
    """A working tree: its root, the git directory that all its worktrees share, its remotes.

    ``remote_urls`` are as written, ``origin`` first, then ``upstream``, then by name.
    ``superproject`` is the root of the working tree that this is a submodule of.
    """

    root: Path
    common_dir: Path
    remote_urls: tuple[str, ...]
    superproject: Path | None


def find_repository(folder: Path) -> Repository | None:
    """Returns the repository whose working tree ``folder`` (absolute, resolved) lies in."""
    for root in [folder, *folder.parents]:
        git_dir = _git_dir(root)
        if git_dir is None:
            continue
        common_dir = _common_dir(git_dir)
        return Repository(
            root=root,
            common_dir=common_dir,
            remote_urls=_remote_urls(common_dir / "config"),
            superproject=_superproject(root, git_dir),
        )
    return None


def submodules(root: Path) -> list[Path]:
    """Returns the roots of the submodules that are checked out below a repository, nested too."""
    found: list[Path] = []
    _collect_submodules(root.resolve(), found, _MAX_DEPTH)
    return found


def _collect_submodules(root: Path, found: list[Path], depth: int) -> None:
    for name in sorted(_submodule_paths(root / ".gitmodules")):
        try:
            place = (root / name).resolve()
        except (OSError, ValueError, RuntimeError):
            continue
        # A repository's own file must not lead out of it.
        if root not in place.parents or place in found or _git_dir(place) is None:
            continue
        found.append(place)
        if depth:
            _collect_submodules(place, found, depth - 1)


def read_limited(path: Path) -> str | None:
    """Returns the text of a small regular file; None if it is absent, unreadable or over 1 MB."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_FILE:
            return None
        with path.open("rb") as stream:
            return stream.read(_MAX_FILE).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None


def _git_dir(root: Path) -> Path | None:
    """Returns the git directory of a working tree's root, if ``root`` is one."""
    marker = root / ".git"
    try:
        if marker.is_dir():
            return marker.resolve() if (marker / "HEAD").is_file() else None
        text = read_limited(marker)
        if text is None or not text.startswith("gitdir:"):
            return None
        named = (root / text.removeprefix("gitdir:").strip()).resolve()
        return named if (named / "HEAD").is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _common_dir(git_dir: Path) -> Path:
    text = read_limited(git_dir / "commondir")
    if not text:
        return git_dir
    try:
        common = (git_dir / text.strip()).resolve()
    except (OSError, ValueError, RuntimeError):
        return git_dir
    return common if common.is_dir() else git_dir


def _superproject(root: Path, git_dir: Path) -> Path | None:
    """Returns the root of the working tree around ``root``, if that has it as a submodule."""
    for outer in root.parents:
        outer_dir = _git_dir(outer)
        if outer_dir is None:
            continue
        inside = {outer_dir / "modules", _common_dir(outer_dir) / "modules"}
        if any(modules in git_dir.parents for modules in inside):
            return outer
        path = root.relative_to(outer).as_posix()
        return outer if path in _submodule_paths(outer / ".gitmodules") else None
    return None


def _submodule_paths(gitmodules: Path) -> set[str]:
    return {
        value.rstrip("/")
        for section, _, key, value in _config(gitmodules)
        if section == "submodule" and key == "path"
    }


def _remote_urls(config: Path) -> tuple[str, ...]:
    urls: dict[str, str] = {}
    for section, name, key, value in _config(config):
        if section == "remote" and key == "url" and name and value:
            urls.setdefault(name, value)
    order = {"origin": 0, "upstream": 1}
    return tuple(urls[name] for name in sorted(urls, key=lambda name: (order.get(name, 2), name)))


def _config(path: Path) -> list[tuple[str, str, str, str]]:
    """Returns ``(section, subsection, key, value)`` of a git configuration file.

    Sections and keys in lower case (gitglossary: they are case-insensitive), subsections as
    written. Includes are not followed.
    """
    found: list[tuple[str, str, str, str]] = []
    section, name = "", ""
    text = (read_limited(path) or "").replace("\r\n", "\n").replace("\\\n", "")
    for raw in text.split("\n"):
        line = raw.strip()
        if header := _SECTION.match(line):
            section, name = header[1].lower(), _ESCAPE.sub(r"\1", header[2] or "")
            line = line[header.end() :].strip()
        if not line or line[0] in "#;[":
            continue
        key, equals, value = line.partition("=")
        found.append((section, name, key.strip().lower(), _value(value) if equals else "true"))
    return found


def _value(text: str) -> str:
    """Returns a value without quotes, escapes and comment (git-config, "Syntax")."""
    out: list[str] = []
    quoted = escaped = False
    for character in text.strip():
        if escaped:
            out.append(_VALUE_ESCAPES.get(character, character))
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character in "#;" and not quoted:
            break
        else:
            out.append(character)
    return "".join(out).strip()
