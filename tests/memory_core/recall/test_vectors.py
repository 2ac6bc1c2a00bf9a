"""The matrix of a project's vectors, in 8 bits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory_core.recall.vectors import VectorBlocks

WIDE = 384


def unit_vectors(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    found = np.random.default_rng(seed).standard_normal((count, WIDE)).astype(np.float32)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / norms, dtype=np.float32)


@given(
    st.sampled_from([1, 2, 1_023, 1_024, 1_025, 4_095, 4_096, 4_097, 9_000]),
    st.integers(0, 2**32 - 1),
)
def test_products_are_those_of_the_vectors(count: int, seed: int) -> None:
    vectors, query = unit_vectors(count, seed), unit_vectors(1, seed + 1)[0]
    blocks, order = VectorBlocks("m", WIDE), np.random.default_rng(seed).permutation(count)
    for part in np.array_split(order.astype(np.int32), 3):
        blocks.put(part, vectors[part])
    found = blocks.dot(query, count)
    assert np.abs(found - vectors @ query).max() < 0.003
    shorter = blocks.dot(query, count - count // 3)
    assert np.allclose(shorter, found[: shorter.size], atol=1e-6)
    assert blocks.nbytes < 0.3 * 4 * WIDE * (count + 4_096)


def test_equal_vectors_give_equal_products_and_unwritten_ones_none() -> None:
    same = np.repeat(unit_vectors(1, 3), 3_000, axis=0)
    blocks = VectorBlocks("m", WIDE)
    blocks.put(np.arange(0, 6_000, 2, dtype=np.int32), same)
    found = blocks.dot(unit_vectors(1, 4)[0], 6_000)
    assert np.unique(np.round(found[::2], 6)).size == 1
    assert not found[1::2].any()
    blocks.put(np.array([1], dtype=np.int32), np.zeros((1, WIDE), dtype=np.float32))
    assert blocks.dot(same[0], 2).tolist()[1] == 0
    assert blocks.dot(same[0], 9_000).size == 9_000
