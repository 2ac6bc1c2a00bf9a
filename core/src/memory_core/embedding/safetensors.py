"""Reading a safetensors file without the library of that name.

Format (huggingface.co/docs/safetensors): eight bytes little-endian header length, a JSON header
``{name: {dtype, shape, data_offsets: [begin, end]}}``, then the bytes the offsets point into.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_core.errors import ModelBroken

_MAX_HEADER_BYTES = 10_000_000
_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
}


def read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """Returns the tensors of a file by name, memory-mapped and read-only.

    Raises:
        ModelBroken: the file is not a safetensors file, is cut short, or holds a type that is
            not F32, F16, I64 or I32.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(_MAX_HEADER_BYTES, size - 8):
            raise ModelBroken(f"{path.name} is not a safetensors file")
        raw_header = file.read(length)
    try:
        header = json.loads(raw_header)
        data = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + length)
        return {
            name: _tensor(data, entry) for name, entry in header.items() if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelBroken(f"{path.name} is not a readable safetensors file: {error}") from error


def _tensor(data: NDArray[np.uint8], entry: dict[str, Any]) -> NDArray[Any]:
    dtype = _DTYPES[entry["dtype"]]
    begin, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not 0 <= begin <= end <= data.size or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError("a tensor lies outside the file")
    return data[begin:end].view(dtype).reshape(shape)
