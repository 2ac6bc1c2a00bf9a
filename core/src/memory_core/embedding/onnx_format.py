"""Writing and reading an ONNX model file with nothing but numpy.

An ONNX file is one protocol buffer message. Only the fields that a plain inference graph needs
are written, numbered as in ``onnx.proto`` (github.com/onnx/onnx, ``onnx/onnx.proto``). Because
the writer is this small, a model can be built from its published weights in a second, without
the onnx package and without torch, and the same weights always give the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

IR_VERSION: Final = 8
"""ONNX 1.12 (2022); every onnxruntime this project accepts reads it."""

_ELEMENT_TYPES: Final = {"float32": 1, "uint8": 2, "int8": 3, "int64": 7}
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5

AttributeValue = int | float | Sequence[int]


def varint(value: int) -> bytes:
    """Returns the base-128 form of a 64-bit integer; negative numbers as two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer_field(number: int, value: int) -> bytes:
    """Returns one integer field."""
    return varint(number << 3 | _VARINT) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """Returns one field of bytes: also an embedded message."""
    return head(number, len(value)) + value


def head(number: int, length: int) -> bytes:
    """Returns what begins a field of so many bytes."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(length)


def text_field(number: int, value: str) -> bytes:
    """Returns one text field."""
    return bytes_field(number, value.encode())


def fields(message: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yields number and value of each field of a message: an integer, or the bytes of all else.

    Raises:
        ValueError: it is not a message, or cut short.
    """
    view, at = memoryview(message), 0
    while at < len(view):
        key, at = _read_varint(view, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _read_varint(view, at)
            yield number, value
            continue
        length = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if kind == _LENGTH_DELIMITED:
            length, at = _read_varint(view, at)
        if length is None or at + length > len(view):
            raise ValueError("not a message of protocol buffers")
        yield number, view[at : at + length]
        at += length


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(view) and shift < 64:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number has no end")


def tensor(name: str, values: NDArray[Any]) -> bytes:
    """Returns a ``TensorProto`` of float32, int8, uint8 or int64 values."""
    array = np.ascontiguousarray(values)
    dims = b"".join(integer_field(1, size) for size in values.shape)
    kind = integer_field(2, _ELEMENT_TYPES[array.dtype.name])
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return dims + kind + text_field(8, name) + bytes_field(9, little_endian.tobytes())


def _attribute(name: str, value: AttributeValue) -> bytes:
    head = text_field(1, name)
    if isinstance(value, float):
        bits = struct.pack("<f", value)
        return head + varint(2 << 3 | _FIXED32) + bits + integer_field(20, 1)
    if isinstance(value, int):
        return head + integer_field(3, value) + integer_field(20, 2)
    return head + b"".join(integer_field(8, item) for item in value) + integer_field(20, 7)


def node(
    operator: str,
    inputs: Sequence[str],
    outputs: str | Sequence[str],
    attributes: Mapping[str, AttributeValue],
) -> bytes:
    """Returns a ``NodeProto``, named after its first output."""
    names = [outputs] if isinstance(outputs, str) else [*outputs]
    return (
        b"".join(text_field(1, name) for name in inputs)
        + b"".join(text_field(2, name) for name in names)
        + text_field(3, names[0])
        + text_field(4, operator)
        + b"".join(bytes_field(5, _attribute(key, value)) for key, value in attributes.items())
    )


def value_info(name: str, element_type: str, shape: Sequence[int | str]) -> bytes:
    """Returns a ``ValueInfoProto``; a text in ``shape`` names a free dimension."""
    dims = b"".join(
        bytes_field(1, text_field(2, size) if isinstance(size, str) else integer_field(1, size))
        for size in shape
    )
    tensor_type = integer_field(1, _ELEMENT_TYPES[element_type]) + bytes_field(2, dims)
    return text_field(1, name) + bytes_field(2, bytes_field(1, tensor_type))


def model(
    *,
    name: str,
    opset: int,
    nodes: Sequence[bytes],
    initializers: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    metadata: Mapping[str, str],
) -> list[bytes]:
    """Returns a ``ModelProto``, the whole file, in pieces to be written one after the other.

    Pieces, because joining them would hold the weights in memory twice more.
    """
    graph: list[bytes] = []
    for number, items in ((1, nodes), (5, initializers), (11, inputs), (12, outputs)):
        for item in items:
            graph += (head(number, len(item)), item)
    graph.append(text_field(2, name))
    tail = [bytes_field(14, text_field(1, key) + text_field(2, metadata[key])) for key in metadata]
    return [
        integer_field(1, IR_VERSION),
        text_field(2, "memory-context"),
        bytes_field(8, text_field(1, "") + integer_field(2, opset)),
        *tail,
        head(7, sum(map(len, graph))),
        *graph,
    ]
