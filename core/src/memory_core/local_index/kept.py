"""Views written down beside the index, so that a new process maps them instead of reading rows.

A file holds the columns of one project's `ViewBuilder` as they lie in memory. It says of which
index, format and revision it is; a process that maps it reads only what came since. It is derived
data and can be deleted at any time.

Layout: 8 bytes of magic, the header's length and CRC-32 (little-endian, 32 bits each), the header
as JSON, then the arrays, each at a multiple of 64 bytes.
"""

from __future__ import annotations

import json
import mmap
import os
import sqlite3
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_core.local_index.reading import (
    ModelRow,
    ProjectRow,
    read_project,
    read_setting,
)
from memory_core.recall.building import ViewBuilder
from memory_core.recall.stored import FORMAT
from memory_core.recall.vectors import VectorBlocks

LEAST_HELD = 2_000
"""Chunks and vectors of a view that is kept; smaller ones are read from their rows as fast."""

_MAGIC = b"mcview01"
_ALIGNED = 64
_FIXED = 16


@dataclass(frozen=True, slots=True)
class Stand:
    """What a kept view is a view of: it is of use only where all but the last two agree."""

    index: int
    format: int
    project: str
    generation: int
    model: str | None
    dimension: int
    revision: int = 0
    last_chunk: int = 0

    @property
    def base(self) -> tuple[object, ...]:
        """What must be the same for the view to be brought up to date."""
        return (self.index, self.format, self.project, self.generation, self.model, self.dimension)


def is_worth_keeping(before: int, now: int) -> bool:
    """Says if a view is to be written down that holds ``now``, ``before`` of it kept already."""
    return now >= LEAST_HELD and now - before > now // 16


def stand_of(
    connection: sqlite3.Connection, project_id: str, project: ProjectRow, model: ModelRow | None
) -> Stand:
    """Returns where a project's view stands in the transaction of ``connection``."""
    return Stand(
        index=read_setting(connection, "identity") or 0,
        format=FORMAT,
        project=project_id,
        generation=project.generation,
        model=None if model is None else model.name,
        dimension=0 if model is None else model.dimension,
        revision=project.revision,
    )


class KeptViews:
    """The kept views of an index, beside its file."""

    def __init__(self, index: Path) -> None:
        self._index = index

    def take(self, project: ProjectRow, stand: Stand) -> tuple[Stand, ViewBuilder] | None:
        """Returns what `read_view` does."""
        return read_view(self._path(project.number), stand)

    def keep(
        self, connection: sqlite3.Connection, project: ProjectRow, stand: Stand, view: ViewBuilder
    ) -> None:
        """Writes a view down, unless something was indexed or removed since it was read."""
        write_view(self._path(project.number), stand, view)
        after = read_project(connection, stand.project)
        if after is None or after.revision != stand.revision:
            # Who removed something meanwhile may have looked for the file before it was there.
            self.forget(project.number)

    def forget(self, project: int) -> None:
        """Deletes a kept view: what was removed from the index must not stay in it."""
        with suppress(OSError):
            self._path(project).unlink(missing_ok=True)

    def _path(self, project: int) -> Path:
        return self._index.with_name(f"{self._index.name}.view-{project}")


def write_view(path: Path, stand: Stand, builder: ViewBuilder) -> None:
    """Writes a view down, whole or not at all; what cannot be written is left out."""
    state = builder.state()
    if state is None:
        return
    arrays, names = state
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            for part in _parts(stand, arrays, names):
                file.write(part)
        temporary.replace(path)
    except OSError:
        # It only saves time; the index itself has everything.
        with suppress(OSError):
            temporary.unlink()


def _parts(
    stand: Stand, arrays: Mapping[str, NDArray[Any]], names: Mapping[str, list[str]]
) -> list[Any]:
    places: dict[str, tuple[str, list[int], int]] = {}
    parts: list[Any] = []
    size = 0
    for name, values in arrays.items():
        flat = np.ascontiguousarray(values)
        gap = -size % _ALIGNED
        places[name] = (flat.dtype.str, [*flat.shape], size + gap)
        parts += [bytes(gap), flat.data if flat.size else b""]
        size += gap + flat.nbytes
    content = {"stand": asdict(stand), "size": size, "arrays": places, "names": names}
    header = json.dumps(content).encode()
    header += b" " * (-(_FIXED + len(header)) % _ALIGNED)
    fixed = [len(header).to_bytes(4, "little"), zlib.crc32(header).to_bytes(4, "little")]
    return [_MAGIC, *fixed, header, *parts]


def read_view(path: Path, wanted: Stand) -> tuple[Stand, ViewBuilder] | None:
    """Returns a builder with what was written down, and how far that goes.

    None where there is nothing, or nothing of use for ``wanted``: of another index, another
    generation or model, newer than its revision, or damaged.
    """
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        return _restored(mapped, wanted)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _restored(mapped: mmap.mmap, wanted: Stand) -> tuple[Stand, ViewBuilder] | None:
    length = int.from_bytes(mapped[8:12], "little")
    header = mapped[_FIXED : _FIXED + length]
    if mapped[:8] != _MAGIC or zlib.crc32(header) != int.from_bytes(mapped[12:16], "little"):
        return None
    content = json.loads(header)
    stand = Stand(**content["stand"])
    start = _FIXED + length
    if stand.base != wanted.base or stand.revision > wanted.revision:
        return None
    if len(mapped) != start + content["size"]:
        return None
    arrays = {
        name: np.frombuffer(
            mapped, dtype, count=int(np.prod(shape, dtype=np.int64)), offset=start + offset
        ).reshape(shape)
        for name, (dtype, shape, offset) in content["arrays"].items()
    }
    blocks = VectorBlocks(stand.model, stand.dimension) if stand.model is not None else None
    return stand, ViewBuilder.restored(arrays, content["names"], blocks)
