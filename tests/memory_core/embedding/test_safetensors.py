from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_core.embedding.safetensors import read_safetensors
from memory_core.errors import ModelBroken

TENSORS: dict[str, np.ndarray[Any, Any]] = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([[-1, 2**40]], dtype=np.int64),
    "c": np.array(0.5, dtype=np.float16),
}
NAMES = {"float32": "F32", "int64": "I64", "float16": "F16"}


def written(tensors: dict[str, np.ndarray[Any, Any]], **changes: object) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, values in tensors.items():
        raw = values.tobytes()
        header[name] = {
            "dtype": NAMES[values.dtype.name],
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    header["a"] |= changes
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(written(TENSORS))
    found = read_safetensors(path)
    assert found.keys() == TENSORS.keys()
    for name, values in TENSORS.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "BF16"},
        {"shape": [2, 4]},
        {"shape": None},
        {"data_offsets": [0, 400]},
        {"data_offsets": [-24, 0]},
        {"data_offsets": "ab"},
    ],
)
def test_an_entry_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(written(TENSORS, **changes))
    with pytest.raises(ModelBroken):
        read_safetensors(path)


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"{]", b"\0" * 9]
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelBroken):
        read_safetensors(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 300), st.integers(0, 255), st.integers(0, 300))
def test_damage_is_refused_or_read_never_a_crash(
    tmp_path: Path, position: int, value: int, length: int
) -> None:
    content = bytearray(written(TENSORS))
    content[min(position, len(content) - 1)] = value
    path = tmp_path / "x.safetensors"
    path.write_bytes(content[: max(length, 1)])
    with contextlib.suppress(ModelBroken):
        read_safetensors(path)
