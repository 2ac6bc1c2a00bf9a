from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest

from memory_core.embedding.bert_graph import LAYERS, POSITIONS, VOCABULARY, build_minilm
from memory_core.errors import ModelBroken

onnxruntime = pytest.importorskip("onnxruntime")

Array = np.ndarray[Any, Any]
SHA = "0" * 64


def random_weights() -> dict[str, Array]:
    """Returns weights of the right names and shapes, large enough that every part matters."""
    random = np.random.default_rng(7)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, 384),
        "embeddings.position_embeddings.weight": (POSITIONS, 384),
        "embeddings.token_type_embeddings.weight": (2, 384),
        "embeddings.LayerNorm.weight": (384,),
        "embeddings.LayerNorm.bias": (384,),
    }
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}"
        for name, wide_out, wide_in in (
            ("attention.self.query", 384, 384),
            ("attention.self.key", 384, 384),
            ("attention.self.value", 384, 384),
            ("attention.output.dense", 384, 384),
            ("intermediate.dense", 1536, 384),
            ("output.dense", 384, 1536),
        ):
            shapes[f"{prefix}.{name}.weight"] = (wide_out, wide_in)
            shapes[f"{prefix}.{name}.bias"] = (wide_out,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{prefix}.{name}.weight"] = (384,)
            shapes[f"{prefix}.{name}.bias"] = (384,)
    return {
        name: (random.standard_normal(shape, dtype=np.float32) * np.float32(0.08))
        + np.float32(name.endswith("LayerNorm.weight"))
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def weights() -> dict[str, Array]:
    return random_weights()


def forward(weights: dict[str, Array], ids: Array, mask: Array, types: Array) -> Array:
    """A plain BERT encoder in float64, written from the paper and not from the builder."""
    w = {name: values.astype(np.float64) for name, values in weights.items()}

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return centred / deviation * w[f"{name}.weight"] + w[f"{name}.bias"]

    def dense(x: Array, name: str) -> Array:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    erf = np.vectorize(math.erf)
    batch, length = ids.shape
    x = (
        w["embeddings.word_embeddings.weight"][ids]
        + w["embeddings.position_embeddings.weight"][:length]
        + w["embeddings.token_type_embeddings.weight"][types]
    )
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        own = f"encoder.layer.{layer}"
        query, key, value = (
            dense(x, f"{own}.attention.self.{part}").reshape(batch, length, 12, 32)
            for part in ("query", "key", "value")
        )
        scores = np.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(32)
        scores = np.where(mask[:, None, None, :] == 1, scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = np.einsum("bhqk,bkhd->bqhd", shares, value).reshape(batch, length, 384)
        x = norm(
            x + dense(mixed, f"{own}.attention.output.dense"), f"{own}.attention.output.LayerNorm"
        )
        wide = dense(x, f"{own}.intermediate.dense")
        active = wide * (1 + erf(wide / math.sqrt(2))) / 2
        x = norm(x + dense(active, f"{own}.output.dense"), f"{own}.output.LayerNorm")
    return x


def test_the_graph_is_the_encoder_of_the_paper(weights: dict[str, Array]) -> None:
    random = np.random.default_rng(3)
    ids = random.integers(0, VOCABULARY, (3, 9))
    types = random.integers(0, 2, (3, 9))
    mask = np.ones_like(ids)
    mask[1, 5:] = 0
    mask[2, 1:] = 0
    content = b"".join(build_minilm(weights, weights_sha256=SHA))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": types})[
        0
    ]
    expected = forward(weights, ids, mask, types)
    visible = mask.astype(bool)
    np.testing.assert_allclose(found[visible], expected[visible], atol=2e-4)


def test_the_same_weights_give_the_same_file(weights: dict[str, Array]) -> None:
    one, other = (
        hashlib.sha256(b"".join(build_minilm(weights, weights_sha256=SHA))).hexdigest()
        for _ in range(2)
    )
    assert one == other


def test_a_missing_tensor_is_named(weights: dict[str, Array]) -> None:
    lacking = {
        name: weights[name] for name in weights if name != "encoder.layer.5.output.dense.bias"
    }
    with pytest.raises(ModelBroken, match=r"encoder\.layer\.5\.output\.dense\.bias"):
        build_minilm(lacking, weights_sha256=SHA)


def test_another_architecture_is_refused(weights: dict[str, Array]) -> None:
    wider = weights | {"embeddings.position_embeddings.weight": np.zeros((514, 384), np.float32)}
    with pytest.raises(ModelBroken, match="position_embeddings"):
        build_minilm(wider, weights_sha256=SHA)
