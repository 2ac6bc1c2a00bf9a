"""The inference graph of all-MiniLM-L6-v2, built from its published weights.

A six-layer BERT encoder (Devlin et al. 2019, arXiv:1810.04805, with post-layer-norm as in the
original): 384 wide, 12 heads of 32, feed-forward 1,536, GELU by the error function, layer norm
epsilon 1e-12. Only standard operators are used; onnxruntime fuses them as it does those of an
export by torch, and both run equally fast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memory_core.embedding import onnx_format
from memory_core.errors import ModelBroken

OPSET: Final = 17
LAYERS: Final = 6
VOCABULARY: Final = 30_522
POSITIONS: Final = 512
HIDDEN: Final = 384
HEADS: Final = 12
HEAD_SIZE: Final = HIDDEN // HEADS
LAYER_NORM_EPSILON: Final = 1e-12
MASKED: Final = -10_000.0
"""Added to the score of a padding position; its softmax is then exactly zero in float32."""

Weights = Mapping[str, NDArray[Any]]


class _Graph:
    """Collects nodes and initializers; every method returns the name of a value."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.nodes: list[bytes] = []
        self.initializers: list[bytes] = []
        self._written: set[str] = set()

    def op(
        self, operator: str, output: str, *inputs: str, **attributes: onnx_format.AttributeValue
    ) -> str:
        self.nodes.append(onnx_format.node(operator, inputs, output, attributes))
        return output

    def constant(self, name: str, values: NDArray[Any]) -> str:
        if name not in self._written:
            self._written.add(name)
            self.initializers.append(onnx_format.tensor(name, values))
        return name

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, dtype=np.float32))

    def shape(self, name: str, *values: int) -> str:
        return self.constant(name, np.array(values, dtype=np.int64))

    def weight(self, name: str, shape: tuple[int, ...], *, transpose: bool = False) -> str:
        try:
            values = self._weights[name]
        except KeyError:
            raise ModelBroken(f"the weights lack {name}") from None
        if values.shape != shape:
            raise ModelBroken(f"{name} has the shape {values.shape}, expected {shape}")
        single = values.astype(np.float32)
        return self.constant(name, single.T if transpose else single)

    def linear(self, output: str, source: str, name: str, wide_in: int, wide_out: int) -> str:
        matrix = self.weight(f"{name}.weight", (wide_out, wide_in), transpose=True)
        product = self.op("MatMul", f"{output}.product", source, matrix)
        return self.op("Add", output, product, self.weight(f"{name}.bias", (wide_out,)))

    def layer_norm(self, output: str, source: str, name: str) -> str:
        scale = self.weight(f"{name}.weight", (HIDDEN,))
        bias = self.weight(f"{name}.bias", (HIDDEN,))
        return self.op(
            "LayerNormalization",
            output,
            source,
            scale,
            bias,
            axis=-1,
            epsilon=LAYER_NORM_EPSILON,
        )


def _embeddings(graph: _Graph) -> str:
    tables = {
        kind: graph.weight(f"embeddings.{kind}_embeddings.weight", (rows, HIDDEN))
        for kind, rows in (("word", VOCABULARY), ("position", POSITIONS), ("token_type", 2))
    }
    words = graph.op("Gather", "embeddings.words", tables["word"], "input_ids")
    types = graph.op("Gather", "embeddings.types", tables["token_type"], "token_type_ids")
    whole = graph.op("Shape", "input_ids.shape", "input_ids")
    length = graph.op(
        "Slice", "input_ids.length", whole, graph.shape("one", 1), graph.shape("two", 2)
    )
    places = graph.op(
        "Slice", "embeddings.positions", tables["position"], graph.shape("zero", 0), length
    )
    placed = graph.op("Add", "embeddings.placed", words, types)
    summed = graph.op("Add", "embeddings.sum", placed, places)
    return graph.layer_norm("embeddings.out", summed, "embeddings.LayerNorm")


def _mask(graph: _Graph) -> str:
    rows = graph.op("Unsqueeze", "mask.rows", "attention_mask", graph.shape("axis1", 1))
    heads = graph.op("Unsqueeze", "mask.heads", rows, graph.shape("axis2", 2))
    single = graph.op("Cast", "mask.float", heads, to=1)
    inverted = graph.op("Sub", "mask.inverted", graph.scalar("unit", 1.0), single)
    return graph.op("Mul", "mask.added", inverted, graph.scalar("masked", MASKED))


def _heads(graph: _Graph, name: str, source: str, weights: str, permutation: list[int]) -> str:
    flat = graph.linear(f"{name}.flat", source, weights, HIDDEN, HIDDEN)
    split = graph.op("Reshape", f"{name}.split", flat, graph.shape("split", 0, 0, HEADS, HEAD_SIZE))
    return graph.op("Transpose", name, split, perm=permutation)


def _attention(graph: _Graph, source: str, mask: str, prefix: str) -> str:
    own = f"{prefix}.attention.self"
    query = _heads(graph, f"{prefix}.query", source, f"{own}.query", [0, 2, 1, 3])
    key = _heads(graph, f"{prefix}.key", source, f"{own}.key", [0, 2, 3, 1])
    value = _heads(graph, f"{prefix}.value", source, f"{own}.value", [0, 2, 1, 3])
    raw = graph.op("MatMul", f"{prefix}.scores.raw", query, key)
    root = graph.scalar("root_head_size", math.sqrt(HEAD_SIZE))
    scaled = graph.op("Div", f"{prefix}.scores", raw, root)
    masked = graph.op("Add", f"{prefix}.scores.masked", scaled, mask)
    shares = graph.op("Softmax", f"{prefix}.shares", masked, axis=-1)
    mixed = graph.op("MatMul", f"{prefix}.mixed", shares, value)
    together = graph.op("Transpose", f"{prefix}.together", mixed, perm=[0, 2, 1, 3])
    flat = graph.op("Reshape", f"{prefix}.joined", together, graph.shape("joined", 0, 0, HIDDEN))
    dense = f"{prefix}.attention.output"
    projected = graph.linear(f"{prefix}.projected", flat, f"{dense}.dense", HIDDEN, HIDDEN)
    summed = graph.op("Add", f"{prefix}.attended.sum", projected, source)
    return graph.layer_norm(f"{prefix}.attended", summed, f"{dense}.LayerNorm")


def _feed_forward(graph: _Graph, source: str, prefix: str) -> str:
    wide = graph.linear(
        f"{prefix}.wide", source, f"{prefix}.intermediate.dense", HIDDEN, 4 * HIDDEN
    )
    scaled = graph.op("Div", f"{prefix}.gelu.scaled", wide, graph.scalar("root2", math.sqrt(2)))
    error = graph.op("Erf", f"{prefix}.gelu.erf", scaled)
    shifted = graph.op("Add", f"{prefix}.gelu.shifted", error, graph.scalar("unit", 1.0))
    gated = graph.op("Mul", f"{prefix}.gelu.gated", wide, shifted)
    active = graph.op("Mul", f"{prefix}.gelu", gated, graph.scalar("half", 0.5))
    narrow = graph.linear(f"{prefix}.narrow", active, f"{prefix}.output.dense", 4 * HIDDEN, HIDDEN)
    summed = graph.op("Add", f"{prefix}.sum", narrow, source)
    last = prefix == f"encoder.layer.{LAYERS - 1}"
    output = "last_hidden_state" if last else f"{prefix}.out"
    return graph.layer_norm(output, summed, f"{prefix}.output.LayerNorm")


def build_minilm(weights: Weights, *, weights_sha256: str) -> list[bytes]:
    """Returns the ONNX file of all-MiniLM-L6-v2, in pieces to be written one after the other.

    Inputs are ``input_ids``, ``attention_mask`` and ``token_type_ids``, int64 of (batch, length);
    the output is ``last_hidden_state``, float32 of (batch, length, 384). Pooling is left to the
    caller, as in the published export.

    Args:
        weights: the tensors of ``model.safetensors`` by their published names.
        weights_sha256: kept in the file's metadata.

    Raises:
        ModelBroken: a tensor is missing or has another shape.
    """
    graph = _Graph(weights)
    hidden = _embeddings(graph)
    mask = _mask(graph)
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}"
        hidden = _feed_forward(graph, _attention(graph, hidden, mask, prefix), prefix)
    return onnx_format.model(
        name="all-MiniLM-L6-v2",
        opset=OPSET,
        nodes=graph.nodes,
        initializers=graph.initializers,
        inputs=[
            onnx_format.value_info(name, "int64", ("batch", "length"))
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ],
        outputs=[
            onnx_format.value_info("last_hidden_state", "float32", ("batch", "length", HIDDEN))
        ],
        metadata={"weights_sha256": weights_sha256},
    )
