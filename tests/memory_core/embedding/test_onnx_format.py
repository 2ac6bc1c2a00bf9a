from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from memory_core.embedding import onnx_format

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (-1, "ffffffffffffffffff01"),
    ],
)
def test_varint_follows_the_encoding(value: int, expected: str) -> None:
    assert onnx_format.varint(value).hex() == expected


def run(nodes: list[bytes], weights: list[bytes], feed: dict[str, np.ndarray[Any, Any]]) -> Any:
    content = onnx_format.model(
        name="small",
        opset=17,
        nodes=nodes,
        initializers=weights,
        inputs=[onnx_format.value_info("x", "float32", ("rows", 3))],
        outputs=[onnx_format.value_info("y", "float32", ("rows", 2))],
        metadata={"origin": "test"},
    )
    session = onnxruntime.InferenceSession(b"".join(content), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"origin": "test"}
    assert session.get_inputs()[0].shape == ["rows", 3]
    return session.run(None, feed)[0]


def test_a_small_model_computes_what_its_nodes_say() -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
    transposed = np.asfortranarray(matrix)
    result = run(
        [
            onnx_format.node("MatMul", ["x", "matrix"], "product", {}),
            onnx_format.node("Softmax", ["product"], "y", {"axis": -1}),
        ],
        [onnx_format.tensor("matrix", transposed)],
        {"x": np.eye(3, dtype=np.float32)},
    )
    expected = np.exp(matrix) / np.exp(matrix).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_float_and_list_attributes_and_integer_tensors_arrive() -> None:
    x = np.array([[1.0, -2.0, 3.0]], dtype=np.float32)
    result = run(
        [
            onnx_format.node("LeakyRelu", ["x"], "leaky", {"alpha": 0.25}),
            onnx_format.node("Transpose", ["leaky"], "turned", {"perm": [1, 0]}),
            onnx_format.node("Gather", ["turned", "rows"], "picked", {"axis": 0}),
            onnx_format.node("Transpose", ["picked"], "y", {"perm": [1, 0]}),
        ],
        [onnx_format.tensor("rows", np.array([1, 2], dtype=np.int64))],
        {"x": x},
    )
    np.testing.assert_array_equal(result, [[-0.5, 3.0]])
