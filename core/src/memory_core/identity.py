"""Which project a folder belongs to.

In this order: the marker file ``.memctx.toml``, the normalised git remote, the common git
directory (worktrees share it), the path. The last is weak: another machine may have another
project there, so its slug carries a hash of the path and it is never shared silently.

Git's own files are read, no git is run: a folder of an untrusted repository starts nothing.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from memory_core.errors import InvalidMarker, InvalidSlug
from memory_core.fields import check_slug
from memory_core.git_files import Repository, find_repository, read_limited
from memory_core.remotes import normalise_remote

MARKER = ".memctx.toml"
_MAX_SLUG = 200
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_MAX_PARENTS = 8

IdentityKind: TypeAlias = Literal["marker", "remote", "git-dir", "path"]


@dataclass(frozen=True, slots=True)
class ProjectIdentity:
    """What tells a project from others.

    ``slug`` is its name. ``remotes`` are normalised (`normalise_remote`), the one that counts
    first: two folders are one project if their first remotes are equal, whatever the slug;
    where a marker names the project, the marker's slug or id decides instead. ``parent`` is the
    project that a submodule, or a marked folder of a repository, lies in. ``root`` is the folder
    of the marker or of the working tree, None for a path that does not exist here.
    ``project_id`` is the id that the marker names.
    """

    slug: str
    remotes: tuple[str, ...]
    kind: IdentityKind
    weak: bool
    parent: ProjectIdentity | None = None
    root: Path | None = None
    project_id: str | None = None

    @property
    def qualified_slug(self) -> str:
        """The slug with the remote's host before it, for when another project has the slug."""
        if self.remotes:
            return _fitting("/".join(_slug_part(part) for part in self.remotes[0].split("/")))
        return self.slug


def slugs_to_try(slug: str, remotes: Sequence[str], kind: str) -> list[str]:
    """Returns the names under which a hub may know a project, the plainest first.

    Where two repositories are called alike the remote's host tells them apart, and at last a
    digest of the remotes. A marker means its name; without a remote there is nothing to add.
    """
    if kind == "marker" or not remotes:
        return [slug]
    qualified = ProjectIdentity(slug, tuple(remotes), "remote", weak=False).qualified_slug
    digest = hashlib.sha256("\n".join(remotes).encode()).hexdigest()[:8]
    return list(dict.fromkeys([slug, qualified, f"{qualified[:190]}-{digest}"]))


def validate_slug(text: str) -> str:
    """Returns ``text`` if a project of a team may have it as its slug.

    Raises:
        InvalidSlug: other characters than ``a-z0-9._-`` in parts joined by ``/``, a part that
            does not begin with a letter or digit (``_team`` and its like are reserved), ``..``,
            or more than 200 characters.
    """
    slug = check_slug(text)
    if any(part.startswith("_") for part in slug.split("/")):
        raise InvalidSlug("a slug that begins with '_' is reserved")
    return slug


def identify(cwd: Path) -> ProjectIdentity:
    """Returns the project of a folder, which may be one that exists on another machine only.

    A relative path is taken as text, not looked up: it says nothing about this machine.

    Raises:
        InvalidMarker: a marker file applies but cannot be used.
    """
    return _identify(cwd, _MAX_PARENTS)


def identify_remote(url: str, cwd: Path) -> ProjectIdentity:
    """Returns the project of a recorded git remote, or of ``cwd`` if that names no host.

    For a transcript that recorded its remote, read where its folder does not exist.
    """
    remote = normalise_remote(url)
    if remote is None:
        return identify(cwd)
    return ProjectIdentity(slug_of_remote(remote), (remote,), "remote", weak=False)


def names_project(folder: Path, below: Path) -> bool:
    """Says whether the marker in ``folder`` names the project of ``below``, which lies in it.

    Raises:
        InvalidMarker: it applies but cannot be used.
    """
    marker = folder / MARKER
    return _trusted(marker, below) and _read_marker(marker) is not None


def _identify(cwd: Path, depth: int) -> ProjectIdentity:
    folder = _existing(cwd)
    if folder is None:
        return _of_path(cwd, None)
    repository = find_repository(folder)
    found = _of_folder(folder, repository)
    if repository and repository.superproject and depth:
        found = replace(found, parent=_identify(repository.superproject, depth - 1))
    return _of_marker(folder, repository, found) or found


def _existing(cwd: Path) -> Path | None:
    try:
        return cwd.resolve() if cwd.is_absolute() and cwd.is_dir() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _of_folder(folder: Path, repository: Repository | None) -> ProjectIdentity:
    if repository is None:
        return _of_path(folder, folder)
    normalised = (normalise_remote(url) for url in repository.remote_urls)
    remotes = tuple(dict.fromkeys(remote for remote in normalised if remote))
    if remotes:
        slug = slug_of_remote(remotes[0])
        return ProjectIdentity(slug, remotes, "remote", weak=False, root=repository.root)
    shared = repository.common_dir
    named = shared.parent if shared.name == ".git" else shared
    slug = _hashed(named.name.removesuffix(".git"), str(shared))
    return ProjectIdentity(slug, (), "git-dir", weak=False, root=repository.root)


def _of_path(path: Path, root: Path | None) -> ProjectIdentity:
    text = str(path)
    if _WINDOWS.match(text):
        text = text.replace("\\", "/")
    text = text.rstrip("/") or "/"
    return ProjectIdentity(_hashed(text.rsplit("/", 1)[-1], text), (), "path", weak=True, root=root)


def _of_marker(
    folder: Path, repository: Repository | None, found: ProjectIdentity
) -> ProjectIdentity | None:
    """Returns what the nearest marker says, searched up to the root of the working tree.

    A marker below that root makes its folder a project of its own within the repository.
    """
    for place in [folder, *folder.parents]:
        marker = place / MARKER
        if _trusted(marker, folder) and (marked := _read_marker(marker)):
            slug, project_id = marked
            whole = repository is None or place == repository.root
            return ProjectIdentity(
                slug=slug or found.slug,
                remotes=found.remotes if whole else (),
                kind="marker",
                weak=False,
                parent=found.parent if whole else found,
                root=place,
                project_id=project_id,
            )
        if repository and place == repository.root:
            break
    return None


def _trusted(marker: Path, folder: Path) -> bool:
    """A marker counts if it is the folder's owner's or root's: not what others left above it."""
    try:
        return marker.is_file() and marker.stat().st_uid in {0, folder.stat().st_uid}
    except OSError:
        return False


def _read_marker(marker: Path) -> tuple[str | None, str | None] | None:
    """Returns slug and id of ``[project]``, or None if the file names neither."""
    try:
        text = read_limited(marker)
        project = tomllib.loads(text or "").get("project")
    except tomllib.TOMLDecodeError as error:
        raise InvalidMarker(f"{marker}: not TOML: {error}") from error
    if text is None:
        raise InvalidMarker(f"{marker}: cannot be read, or is too large")
    if not isinstance(project, dict) or not (project.keys() & {"slug", "id"}):
        return None
    slug, project_id = project.get("slug"), project.get("id")
    if not isinstance(slug, str | None) or not isinstance(project_id, str | None):
        raise InvalidMarker(f"{marker}: slug and id are texts")
    if project_id is not None and not re.fullmatch(r"[A-Za-z0-9._/-]{1,200}", project_id):
        raise InvalidMarker(f"{marker}: the id is not one of a project")
    try:
        return validate_slug(slug) if slug is not None else None, project_id
    except InvalidSlug as error:
        raise InvalidMarker(f"{marker}: {error.detail}") from error


def slug_of_remote(remote: str) -> str:
    """Returns the slug of a normalised remote: its path, ``owner/name``, without the host.

    A path of one part keeps the host, as ``name`` alone would soon meet another of that name.
    """
    host, _, path = remote.partition("/")
    parts = path.split("/")
    if len(parts) == 1:
        parts = [host, *parts]
    return _fitting("/".join(_slug_part(part) for part in parts))


def _slug_part(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    kept = re.sub(r"\.{2,}", ".", re.sub(r"[^a-z0-9._-]+", "-", plain)).strip("._-")
    # Letters that ASCII does not have must not make two names one.
    if kept and plain == text.lower():
        return kept
    return f"{kept or 'x'}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _hashed(name: str, path: str) -> str:
    digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    kept = re.sub(r"\.{2,}", ".", re.sub(r"[^a-z0-9._-]+", "-", plain)).strip("._-")
    return _fitting(f"{kept or 'project'}-{digest}")


def _fitting(slug: str) -> str:
    if len(slug) <= _MAX_SLUG:
        return slug
    digest = hashlib.sha256(slug.encode()).hexdigest()[:8]
    return f"{slug[: _MAX_SLUG - 9].rstrip('/._-')}-{digest}"
