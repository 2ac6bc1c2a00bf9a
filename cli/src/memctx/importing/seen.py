"""Which files have been imported completely, so that a next run need not read them again.

An entry is believed only while the hub proves that it still holds what was imported: the
digest of the project's log at the position it had then. The chain of digests covers all that
came before, so a hub that was replaced, emptied or restored from an older backup cannot
answer right, and everything is read again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from memory_core.errors import ContextError
from sync_agent.files import private_file, private_folder

if TYPE_CHECKING:
    from sync_agent.client import HubClient
    from sync_agent.replica import Replica

VERSION = 1


@dataclass(frozen=True, slots=True)
class Proof:
    """A position of a project's log and its digest there."""

    project: str
    epoch: str
    seq: int
    digest: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What tells a file from itself after a change."""

    size: int
    mtime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, path: Path) -> Shape:
        """Returns the shape that a file has now."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was imported completely."""

    how: str
    shape: Shape
    proofs: tuple[Proof, ...]


Prove: TypeAlias = Callable[[str, int | None], Proof | None]
"""Proves what a memory holds of a project at a position, by default at the last; None: cannot."""


class SeenFiles:
    """The files that were imported completely, with what proves it.

    ``how`` names what else decides about the result, such as the privacy level. With
    ``force`` no file counts as unchanged.
    """

    def __init__(self, path: Path, prove: Prove, how: str, *, force: bool = False) -> None:
        self._force = force
        self._path = path
        self._prove = prove
        self._how = how
        self._believed: dict[Proof, bool] = {}
        self._files = _load(path)
        self._done: dict[str, tuple[Shape, frozenset[str]]] = {}

    def unchanged(self, path: Path) -> bool:
        """Says whether a file was imported as it is now, and the hub still has all of it."""
        entry = self._files.get(str(path.resolve()))
        if entry is None or self._force or entry.how != self._how or not entry.proofs:
            return False
        try:
            same = Shape.of(path) == entry.shape
        except OSError:
            return False
        return same and all(self._believe(proof) for proof in entry.proofs)

    def done(self, path: Path, shape: Shape, projects: Iterable[str]) -> None:
        """Takes note of a file that was sent completely; `save` makes it last."""
        self._done[str(path.resolve())] = (shape, frozenset(projects))

    def save(self) -> None:
        """Proves all that was sent and writes it down.

        Files that are gone, and projects whose log cannot be proved, are left out.
        """
        projects = {name for _, names in self._done.values() for name in names}
        proofs = {name: proof for name in projects if (proof := self._prove(name, None))}
        for path, (shape, names) in self._done.items():
            if names and names <= proofs.keys():
                found = tuple(proofs[name] for name in sorted(names))
                self._files[path] = Entry(self._how, shape, found)
        self._refresh(proofs)
        kept = {path: asdict(each) for path, each in self._files.items() if Path(path).exists()}
        _store(self._path, {"version": VERSION, "files": kept})

    def _refresh(self, proofs: dict[str, Proof]) -> None:
        """Moves believed entries to the newest proof, so that one request checks them all."""
        for path, entry in self._files.items():
            if all(self._believed.get(proof) for proof in entry.proofs):
                newest = tuple(proofs.get(proof.project, proof) for proof in entry.proofs)
                self._files[path] = replace(entry, proofs=newest)

    def _believe(self, proof: Proof) -> bool:
        if proof not in self._believed:
            self._believed[proof] = self._prove(proof.project, proof.seq) == proof
        return self._believed[proof]


def proved_by_hub(client: HubClient) -> Prove:
    """Returns how a hub proves what it holds: by the digests of its logs."""

    def prove(project: str, seq: int | None) -> Proof | None:
        try:
            if seq is None:
                seq = client.projects.get(project)["head"]
            if seq < 1:
                return None
            page = client.projects.events(project, after=seq - 1, limit=1)
        except ContextError:
            return None
        if not page["items"] or page["items"][0]["seq"] != seq:
            return None
        return Proof(project, page["epoch"], seq, page["items"][0]["digest"])

    return prove


def proved_by_replica(replica: Replica) -> Prove:
    """Returns how a replica proves what it holds: by the hashes of its journal."""

    def prove(project: str, number: int | None) -> Proof | None:
        try:
            if number is None:
                number = replica.project(project).last_number
            rows = replica.journal(project, after=number - 1, limit=1) if number > 0 else []
        except ContextError:
            return None
        if not rows or rows[0].number != number:
            return None
        return Proof(project, replica.replica_id, number, rows[0].hash.hex())

    return prove


def _load(path: Path) -> dict[str, Entry]:
    """Returns the entries of a file; what cannot be read was not remembered."""
    try:
        value = json.loads(path.read_text())
        files = value["files"] if value["version"] == VERSION else {}
        return {
            str(name): Entry(
                str(entry["how"]),
                Shape(**entry["shape"]),
                tuple(Proof(**proof) for proof in entry["proofs"]),
            )
            for name, entry in files.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _store(path: Path, value: dict[str, object]) -> None:
    private_folder(path.parent)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with private_file(temporary) as file:
        file.write(json.dumps(value).encode())
    temporary.replace(path)
