"""A backup as a file: a tar.gz of exports in parts, and last a manifest that tells them whole.

``tenants/001/log-00001.jsonl`` … hold what `memctx export` writes, cut between lines, and
``manifest.json`` their SHA-256 with the head and digest of every project. It is written in
one pass and constant memory; a file that was cut has no manifest.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from memory_core.errors import Corrupt
from sync_agent.streams import lines

if TYPE_CHECKING:
    from pydantic import JsonValue

FORMAT = "memory_context_backup"
VERSION = 1
MANIFEST = "manifest.json"
PART_BYTES = 8 * 1024 * 1024
MAX_PART_BYTES = 96 * 1024 * 1024
"""A part ends with a line, which the hub bounds; this is more than any has."""

_DAMAGES = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class Part:
    """A member of the archive with its size in bytes and its SHA-256."""

    name: str
    bytes: int
    sha256: str


@dataclass(slots=True)
class Project:
    """Where a project's log stood: the seq and digest of its last event."""

    id: str
    epoch: str
    head: int
    digest: str = ""


@dataclass(slots=True)
class TenantBackup:
    """What a backup holds of one tenant."""

    id: str
    name: str
    created_at: str = ""
    view_digest: str = ""
    events: int = 0
    projects: list[Project] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class Manifest:
    """What a backup holds."""

    created_at: str
    release: str
    keys: bool
    tenants: list[TenantBackup] = field(default_factory=list)

    def document(self) -> dict[str, JsonValue]:
        """Returns the manifest as it is written."""
        return {FORMAT: {"version": VERSION, **asdict(self)}}


class Writer:
    """Writes a backup into an open file, one tenant after the other."""

    def __init__(self, file: BinaryIO, manifest: Manifest) -> None:
        # 6 is as fast as the hub reads and within a few per cent of the smallest.
        self._gzip = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0)
        self._tar = tarfile.open(fileobj=self._gzip, mode="w|")  # noqa: SIM115
        self._manifest = manifest

    def tenant(
        self, tenant: TenantBackup, pieces: Iterable[bytes], wrote: Callable[[int], None]
    ) -> None:
        """Adds a tenant's export; ``wrote`` is told the bytes of each part.

        Raises:
            Corrupt: the export is not whole.
        """
        watcher = _Watcher(tenant)
        part = io.BytesIO()
        for line in lines(pieces):
            watcher.line(line)
            part.write(line)
            if part.tell() >= PART_BYTES:
                wrote(self._part(tenant, part))
                part = io.BytesIO()
        watcher.end()
        wrote(self._part(tenant, part))
        self._manifest.tenants.append(tenant)

    def _part(self, tenant: TenantBackup, part: io.BytesIO) -> int:
        number = len(self._manifest.tenants) + 1
        name = f"tenants/{number:03}/log-{len(tenant.parts) + 1:05}.jsonl"
        content = part.getvalue()
        self._add(name, content)
        tenant.parts.append(Part(name, len(content), hashlib.sha256(content).hexdigest()))
        return len(content)

    def _add(self, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        entry.mode = 0o600
        self._tar.addfile(entry, io.BytesIO(content))

    def finish(self) -> None:
        """Adds the manifest and ends the archive."""
        self._add(MANIFEST, json.dumps(self._manifest.document(), indent=2).encode() + b"\n")
        self._tar.close()
        self._gzip.close()


class _Watcher:
    """Notes from the lines of an export where each log stands."""

    def __init__(self, tenant: TenantBackup) -> None:
        self._tenant = tenant
        self._last_event = b""
        self._ended = False

    def line(self, line: bytes) -> None:
        if line.startswith(b'{"event":'):
            # Parsed only if it turns out to be the last of its project.
            self._last_event = line
            return
        self._close()
        ((what, content),) = json.loads(line).items()
        if what == "project":
            found = Project(content["id"], content["epoch"], content["head"])
            self._tenant.projects.append(found)
        elif what == "end":
            self._tenant.events = content["events"]
            self._tenant.id = content["tenant_id"]
            self._tenant.view_digest = content["view_digest"]
            self._ended = True

    def _close(self) -> None:
        if self._last_event:
            self._tenant.projects[-1].digest = json.loads(self._last_event)["event"]["digest"]
            self._last_event = b""

    def end(self) -> None:
        if not self._ended:
            raise Corrupt("the hub's answer ended before it was complete; nothing was kept")


def check(path: Path, went: Callable[[int], None]) -> Manifest:
    """Reads a whole backup, compares every part with the manifest and returns that.

    Raises:
        Corrupt: it is cut, damaged or no backup.
        OSError: it cannot be read.
    """
    found: dict[str, Part] = {}
    manifest: Manifest | None = None
    for name, content in _members(path):
        if manifest is not None:
            raise Corrupt(f"{path} goes on after its manifest")
        if name == MANIFEST:
            manifest = _manifest(path, content)
        elif name in found:
            raise Corrupt(f"{path} holds {name!r} twice")
        else:
            found[name] = Part(name, len(content), hashlib.sha256(content).hexdigest())
            went(len(content))
    if manifest is None:
        raise Corrupt(f"{path} was cut: it has no manifest")
    expected = {part.name: part for tenant in manifest.tenants for part in tenant.parts}
    for name in {**expected, **found}:
        if expected.get(name) != found.get(name):
            raise Corrupt(f"{path}: {name!r} is not what the manifest says")
    return manifest


def pieces_of(path: Path, tenant: TenantBackup) -> Iterator[bytes]:
    """Yields the export of one tenant, piece by piece, each compared with the manifest.

    Raises:
        Corrupt: the file is not what it was when it was checked.
    """
    wanted = {part.name: part for part in tenant.parts}
    for name, content in _members(path):
        part = wanted.pop(name, None)
        if part is None:
            continue
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise Corrupt(f"{path}: {name!r} changed while it was read")
        yield content
    if wanted:
        raise Corrupt(f"{path} changed while it was read")


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the files of an archive. Nothing of it is ever written anywhere by its names."""
    with _reading(path) as archive:
        for entry in archive:
            content = archive.extractfile(entry) if entry.isreg() else None
            if content is None or entry.size > MAX_PART_BYTES:
                raise Corrupt(f"{path} holds {entry.name!r}, which no backup has")
            yield entry.name, _read(content, entry.size, path)


def _read(content: IO[bytes], size: int, path: Path) -> bytes:
    found = content.read(size)
    if len(found) != size:
        raise Corrupt(f"{path} was cut")
    return found


@contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with gzip.open(path) as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                yield archive
            # To its very end, where the checksum over everything is.
            while unpacked.read(PART_BYTES):
                pass
    except _DAMAGES as error:
        raise Corrupt(f"{path} is damaged or no backup: {error}") from error


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        found: Mapping[str, Any] = json.loads(content)[FORMAT]
        if found["version"] != VERSION:
            raise Corrupt(f"{path} was made by another release; use that one")
        tenants = [
            TenantBackup(
                **{
                    **tenant,
                    "projects": [Project(**one) for one in tenant["projects"]],
                    "parts": [Part(**one) for one in tenant["parts"]],
                }
            )
            for tenant in found["tenants"]
        ]
        return Manifest(found["created_at"], found["release"], found["keys"], tenants)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(f"{path}: its manifest cannot be read") from error
