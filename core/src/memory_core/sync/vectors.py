"""Vectors as they travel: in 8 bits with a scale each, by the hash of their text.

Recall holds vectors in the same 8 bits (`memory_core.recall.vectors`), so a replica that
received them scores exactly as the hub does, for a quarter of the bytes of float32.

Layout, little-endian: ``MCV1``, u16 length of the model's name, the name in UTF-8, u16
dimension, u32 count, then per vector the 16-byte hash of its text, f32 scale, and dimension
signed bytes; the vector is scale * bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_core.errors import InvalidInput

_MAGIC = b"MCV1"
HASH_BYTES = 16
"""Of the hash by which an index knows a text (`memory_core.recall.prepare.content_hash`)."""

_LEVELS = 127


@dataclass(frozen=True, slots=True)
class VectorBatch:
    """Vectors of one model: (hash of the text in hex, vector of ``dimension`` float32)."""

    model: str
    dimension: int
    rows: Sequence[tuple[str, NDArray[np.float32]]]


def pack(batch: VectorBatch) -> bytes:
    """Returns a batch as bytes."""
    name = batch.model.encode()
    parts = [
        _MAGIC,
        struct.pack("<H", len(name)),
        name,
        struct.pack("<HI", batch.dimension, len(batch.rows)),
    ]
    for hashed, vector in batch.rows:
        largest = float(np.abs(vector).max(initial=0.0))
        step = np.float32(np.float32(largest if largest > 0 else 1) / np.float32(_LEVELS))
        levels = np.rint(vector / step).astype(np.int8)
        parts += [bytes.fromhex(hashed), struct.pack("<f", step), levels.tobytes()]
    return b"".join(parts)


def unpack(data: bytes) -> VectorBatch:
    """Returns the batch that `pack` made.

    Raises:
        InvalidInput: the bytes are no batch, or not a whole one.
    """
    if data[:4] != _MAGIC:
        raise InvalidInput("these are no vectors")
    try:
        (length,) = struct.unpack_from("<H", data, 4)
        model = data[6 : 6 + length].decode()
        dimension, count = struct.unpack_from("<HI", data, 6 + length)
    except (struct.error, ValueError) as error:
        raise InvalidInput("these are no vectors") from error
    start = 6 + length + 6
    row = np.dtype([("hash", f"V{HASH_BYTES}"), ("step", "<f4"), ("levels", "i1", (dimension,))])
    if len(data) - start != count * row.itemsize:
        raise InvalidInput("vectors are cut off, or more than they say")
    table = np.frombuffer(data, dtype=row, count=count, offset=start)
    vectors = table["levels"].astype(np.float32) * table["step"][:, np.newaxis]
    if not np.isfinite(vectors).all():
        raise InvalidInput("a vector is not finite")
    hashes = [bytes(hashed).hex() for hashed in table["hash"]]
    return VectorBatch(model, dimension, list(zip(hashes, vectors, strict=True)))
