"""How every store keeps the rows of an index, and turns them into columns of a view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_core.recall.building import ChunkRows, UnitRow

FORMAT = 2
"""Changes with whatever makes stored rows mean something else: columns, tokenizer, chunking."""

TOMBSTONES = 1_000
"""Rows of records long gone that a store keeps at least, so that views need not read anew."""

DEAD_SHARE = 0.25
"""A view of which more is dead than this is read anew."""

Row = tuple[Any, ...]


def unit_row(row: Row) -> UnitRow:
    """Returns a record from its stored columns, in the order of `UnitRow`; fingerprint signed."""
    (number, kind, identity, session_id, position, role, tool, question, author, owner_id,
     created, quality, size, signed) = row  # fmt: skip
    return UnitRow(
        number=number,
        kind=kind,
        id=identity,
        session_id=session_id,
        position=position,
        role=role,
        tool=bool(tool),
        question=bool(question),
        author=author,
        owner_id=owner_id,
        created=created,
        quality=quality,
        size=size,
        fingerprint=signed % (1 << 64),
    )


def chunk_rows(rows: Sequence[Row]) -> ChunkRows:
    """Returns chunks from their columns: number, unit, start, end, length, terms, frequencies.

    The last two are little-endian arrays of 64-bit terms and of 16-bit counts.
    """
    columns = tuple(zip(*rows, strict=True)) if rows else ((), (), (), (), (), (), ())
    number, unit, start, end, length, terms, frequencies = columns
    return ChunkRows(
        number=number,
        unit=unit,
        start=start,
        end=end,
        length=length,
        distinct=np.array([len(blob) // 8 for blob in terms], dtype=np.int64),
        terms=np.frombuffer(b"".join(terms), dtype="<u8").astype(np.uint64, copy=False),
        frequencies=np.frombuffer(b"".join(frequencies), dtype="<u2").astype(np.uint16, copy=False),
    )


def vector_rows(blobs: Sequence[bytes], dimension: int) -> NDArray[np.float32]:
    """Returns vectors, (n, dimension), from little-endian float32 arrays."""
    joined = np.frombuffer(b"".join(blobs), dtype="<f4")
    return joined.reshape(len(blobs), dimension).astype(np.float32, copy=False)


def too_many_gone(units: int, alive: int) -> bool:
    """Says whether the rows of records that are gone are worth deleting."""
    return units - alive > TOMBSTONES + alive // 2


def signed_fingerprint(fingerprint: int) -> int:
    """Returns a fingerprint as a database stores it: 64 bits with a sign."""
    return int.from_bytes(fingerprint.to_bytes(8, "big"), "big", signed=True)
