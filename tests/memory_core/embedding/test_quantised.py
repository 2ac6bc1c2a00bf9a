"""The model for questions: the exact one with its weights in 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.embedding import onnx_format
from memory_core.embedding.onnx import OnnxEmbedder
from memory_core.embedding.quantised import quantise
from memory_core.errors import ModelBroken

onnxruntime = pytest.importorskip("onnxruntime")

WORDS, WIDE, NARROW = 5_000, 16, 8
RANDOM = np.random.default_rng(7)
TABLE = RANDOM.standard_normal((WORDS, WIDE)).astype(np.float32)
FIRST = (RANDOM.standard_normal((WIDE, NARROW)) * np.linspace(0.01, 9, NARROW)).astype(np.float32)
SECOND = RANDOM.standard_normal((WIDE, NARROW)).astype(np.float32)
SECOND[:, 3] = 0


def small() -> bytes:
    """Returns a model that looks words up, multiplies them by two matrices and by each other."""
    nodes = [
        onnx_format.node("Gather", ["table", "ids"], "x", {}),
        onnx_format.node("MatMul", ["x", "first"], "one", {}),
        onnx_format.node("MatMul", ["x", "second"], "two", {}),
        onnx_format.node("Transpose", ["two"], "turned", {"perm": [1, 0]}),
        onnx_format.node("MatMul", ["one", "turned"], "y", {}),
    ]
    weights = {"table": TABLE, "first": FIRST, "second": SECOND}
    pieces = onnx_format.model(
        name="small",
        opset=17,
        nodes=nodes,
        initializers=[onnx_format.tensor(name, values) for name, values in weights.items()],
        inputs=[onnx_format.value_info("ids", "int64", ("rows",))],
        outputs=[onnx_format.value_info("y", "float32", ("rows", "rows"))],
        metadata={"origin": "test"},
    )
    return b"".join(pieces)


def run(model: bytes, ids: list[int]) -> Any:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"origin": "test"}
    return session.run(None, {"ids": np.array(ids, dtype=np.int64)})[0]


def test_a_small_model_gives_nearly_the_same_from_a_third_of_the_bytes() -> None:
    exact, ids = small(), [1, 17, 4_999, 0]
    rounded = b"".join(quantise(exact))
    wanted, found = run(exact, ids), run(rounded, ids)
    assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()
    assert len(rounded) < 0.34 * len(exact)
    assert b"".join(quantise(exact)) == rounded
    # Without weights of 32 bits nothing is left to do.
    assert run(b"".join(quantise(rounded)), ids).tolist() == found.tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2_000), st.binary(max_size=12))
def test_what_is_not_a_model_is_refused(length: int, more: bytes) -> None:
    cut = small()[:length] + more
    try:
        pieces = quantise(cut)
    except ModelBroken:
        return
    with pytest.raises(Exception, match=r"(?i)onnx|protobuf|graph|model"):
        onnxruntime.InferenceSession(b"".join(pieces), providers=["CPUExecutionProvider"])


def test_questions_are_near_the_exact_vectors(embedder: OnnxEmbedder, model_dir: Path) -> None:
    assert any(model_dir.rglob("query.onnx"))
    questions = [
        "why did we change the parser?",
        "how do I run the migrations on staging",
        "what did Ada decide about retries on 3 May?",
        "pizza",
        "SELECT count(*) FROM events WHERE tenant_id = $1 -- why so slow?",
        "",
    ]
    exact = embedder.embed(questions)
    near = np.stack([embedder.embed_query(question) for question in questions])
    assert np.linalg.norm(near, axis=1) == pytest.approx(1, abs=1e-5)
    cosines = np.sum(exact * near, axis=1)
    assert cosines.min() > 0.97
    assert cosines.max() < 0.999_999
    # Each question is still nearest to itself.
    assert (near @ exact.T).argmax(axis=1).tolist() == list(range(len(questions)))
