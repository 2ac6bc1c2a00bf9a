"""The model once more with weights of 8 bits, for questions, where every millisecond is felt.

Every multiplication by a matrix of weights becomes one of integers: the weights are rounded to
8 bits with a scale for each column, the activations at run time with one scale for each run
(``DynamicQuantizeLinear``, ONNX operators since version 10). The table of word vectors is rounded
with a scale for each row. What has no weights (attention, layer norm, GELU) stays float32. Texts
that are stored are embedded by the exact model; a question's vector differs by a cosine of about
0.99 from the exact one, which changes the order of near-equal results only.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_core.embedding import onnx_format
from memory_core.errors import ModelBroken

MINIMUM_COSINE: Final = 0.97
"""The least against the reference vectors; their long and odd texts are harder than questions."""

_TABLE_ROWS: Final = 4_096
"""A table of this many rows is one of words; rounding a smaller one saves nothing."""

_GRAPH, _NODE, _INITIALIZER = 7, 1, 5
_LEVELS: Final = 127


class _Node(NamedTuple):
    operator: str
    inputs: list[str]
    output: str


class _Quantiser:
    """Collects the fields of the new graph."""

    def __init__(self, weights: dict[str, memoryview]) -> None:
        self._weights = weights
        self._rounded: set[str] = set()
        self.nodes: list[bytes] = []
        self.initializers: list[bytes] = []

    def add(self, message: memoryview) -> None:
        """Adds a node, in integers if it multiplies by weights or looks up words."""
        node = _read_node(message)
        if node.operator == "MatMul" and self._shape(node.inputs[1]):
            self._product(node)
        elif node.operator == "Gather" and self._shape(node.inputs[0])[:1] >= (_TABLE_ROWS,):
            self._lookup(node)
        else:
            self.nodes.append(bytes(message))

    def kept(self) -> list[bytes]:
        """Returns all weights of the new graph."""
        exact = [bytes(self._weights[name]) for name in self._weights if name not in self._rounded]
        return [*exact, *self.initializers]

    def _shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a matrix of float32 weights, () of anything else."""
        message = self._weights.get(name)
        if message is None:
            return ()
        found = list(onnx_format.fields(message))
        shape = tuple(value for number, value in found if number == 1 and isinstance(value, int))
        return shape if (2, 1) in found and len(shape) == 2 else ()

    def _values(self, name: str) -> NDArray[np.float32]:
        for number, value in onnx_format.fields(self._weights[name]):
            if number == 9 and isinstance(value, memoryview):
                return np.frombuffer(value, dtype="<f4").reshape(self._shape(name))
        raise ValueError(f"{name} holds no bytes")

    def _round(self, name: str, axis: int) -> tuple[str, str]:
        """Writes a matrix in 8 bits, with a scale along ``axis``; returns their names."""
        whole, scale = f"{name}.int8", f"{name}.scale"
        if name not in self._rounded:
            values = self._values(name)
            largest = np.abs(values).max(axis=1 - axis, keepdims=axis == 0)
            scales = np.where(largest > 0, largest / _LEVELS, 1).astype(np.float32)
            rounded = np.rint(values / scales).astype(np.int8)
            self.initializers += [
                onnx_format.tensor(whole, rounded),
                onnx_format.tensor(scale, scales),
            ]
            self._rounded.add(name)
        return whole, scale

    def _product(self, node: _Node) -> None:
        source, output = node.inputs[0], node.output
        matrix, scale = self._round(node.inputs[1], 1)
        rounded = [f"{source}.{part}" for part in ("uint8", "step", "zero")]
        step = onnx_format.node("DynamicQuantizeLinear", [source], rounded, {})
        if step not in self.nodes:
            self.nodes.append(step)
        whole, single, both = (f"{output}.{part}" for part in ("int32", "float", "scale"))
        self._op("MatMulInteger", [rounded[0], matrix, rounded[2]], whole)
        self._op("Cast", [whole], single, to=1)
        self._op("Mul", [rounded[1], scale], both)
        self._op("Mul", [single, both], output)

    def _lookup(self, node: _Node) -> None:
        table, scale = self._round(node.inputs[0], 0)
        row, single, step = (f"{node.output}.{part}" for part in ("int8", "float", "scale"))
        self._op("Gather", [table, node.inputs[1]], row)
        self._op("Cast", [row], single, to=1)
        self._op("Gather", [scale, node.inputs[1]], step)
        self._op("Mul", [single, step], node.output)

    def _op(
        self,
        operator: str,
        inputs: list[str],
        output: str,
        **attributes: onnx_format.AttributeValue,
    ) -> None:
        self.nodes.append(onnx_format.node(operator, inputs, output, attributes))


def _read_node(message: memoryview) -> _Node:
    inputs: list[str] = []
    outputs: list[str] = []
    operator = ""
    for number, value in onnx_format.fields(message):
        if number in (1, 2, 4) and isinstance(value, memoryview):
            text = bytes(value).decode()
            if number == 4:
                operator = text
            else:
                (inputs if number == 1 else outputs).append(text)
    return _Node(operator, inputs, outputs[0])


def _name_of(initializer: memoryview) -> str:
    for number, value in onnx_format.fields(initializer):
        if number == 8 and isinstance(value, memoryview):
            return bytes(value).decode()
    raise ValueError("a tensor has no name")


def quantise(model: bytes | memoryview) -> list[bytes]:
    """Returns an ONNX file with its weights in 8 bits, in pieces to be written one by one.

    The same file always gives the same bytes.

    Raises:
        ModelBroken: ``model`` is not an ONNX file with its weights inside.
    """
    try:
        return _quantised(model)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise ModelBroken(f"the model's file cannot be rounded to 8 bits: {error}") from error


def _quantised(model: bytes | memoryview) -> list[bytes]:
    head: list[bytes] = []
    graph: list[tuple[int, int | memoryview]] = []
    for number, value in onnx_format.fields(model):
        if number == _GRAPH and isinstance(value, memoryview):
            graph = list(onnx_format.fields(value))
        else:
            head.append(_field(number, value))
    parts = [(number, value) for number, value in graph if isinstance(value, memoryview)]
    if not parts:
        raise ValueError("it holds no graph")
    weights = {_name_of(value): value for number, value in parts if number == _INITIALIZER}
    quantiser = _Quantiser(weights)
    rest: list[bytes] = []
    for number, value in parts:
        if number == _NODE:
            quantiser.add(value)
        elif number != _INITIALIZER:
            rest.append(_field(number, value))
    body = [_field(_NODE, node) for node in quantiser.nodes]
    body += [_field(_INITIALIZER, values) for values in quantiser.kept()]
    body += rest
    return [*head, onnx_format.head(_GRAPH, sum(map(len, body))), *body]


def _field(number: int, value: int | bytes | memoryview) -> bytes:
    if isinstance(value, int):
        return onnx_format.integer_field(number, value)
    return onnx_format.bytes_field(number, bytes(value))
