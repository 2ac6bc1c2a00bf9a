"""Vectors travel in the 8 bits in which they are searched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.errors import InvalidInput
from memory_core.recall.prepare import content_hash
from memory_core.recall.vectors import VectorBlocks
from memory_core.sync.vectors import HASH_BYTES, VectorBatch, pack, unpack

DIMENSION = 384


def batch(count: int, seed: int) -> VectorBatch:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [(generator.bytes(HASH_BYTES).hex(), vector) for vector in vectors]
    return VectorBatch("a model/ü", DIMENSION, rows)


def products(rows: list[np.ndarray], query: np.ndarray) -> np.ndarray:
    blocks = VectorBlocks("m", DIMENSION)
    blocks.put(np.arange(len(rows), dtype=np.int32), np.array(rows))
    return blocks.dot(query, len(rows))


@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_received_vectors_score_exactly_as_those_sent(count: int, seed: int) -> None:
    sent = batch(count, seed)
    received = unpack(pack(sent))
    assert (received.model, received.dimension) == (sent.model, DIMENSION)
    assert [hashed for hashed, _ in received.rows] == [hashed for hashed, _ in sent.rows]
    query = batch(1, seed + 1).rows[0][1]
    theirs = products([vector for _, vector in sent.rows], query)
    ours = products([vector for _, vector in received.rows], query)
    assert np.array_equal(theirs, ours)


def test_none_and_zero_vectors_travel() -> None:
    assert unpack(pack(VectorBatch("m", DIMENSION, []))).rows == []
    zero = VectorBatch("m", 3, [("00" * HASH_BYTES, np.zeros(3, dtype=np.float32))])
    assert not unpack(pack(zero)).rows[0][1].any()


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        unpack(data)


@given(st.integers(0, 10**4))
def test_a_cut_batch_is_refused(cut: int) -> None:
    whole = pack(batch(3, 1))
    with pytest.raises(InvalidInput):
        unpack(whole[: cut % len(whole)])


def test_texts_are_known_by_the_hash_of_the_index() -> None:
    assert len(content_hash("a text")) == HASH_BYTES
