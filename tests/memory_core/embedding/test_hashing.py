from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.embedding.hashing import HashingEmbedder
from memory_core.errors import InvalidInput

EXPECTED = [0.338062, 0.0, 0.169031, -0.338062, 0.845154, 0.0, 0.0, -0.169031]

SHOW = (
    "from memory_core.embedding.hashing import HashingEmbedder;"
    "print(HashingEmbedder(16).embed_query('Why did we change the parser?').tobytes().hex())"
)


@given(st.lists(st.text(st.characters(), max_size=40), max_size=6))
def test_any_text_gives_a_finite_vector_of_length_one(texts: list[str]) -> None:
    vectors = HashingEmbedder(64).embed(texts)
    assert vectors.shape == (len(texts), 64)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@given(st.text(max_size=40))
def test_a_question_is_embedded_as_a_text(text: str) -> None:
    embedder = HashingEmbedder(64)
    np.testing.assert_array_equal(embedder.embed_query(text), embedder.embed([text])[0])


def test_every_process_gives_the_same_vector() -> None:
    shown = {
        subprocess.run(
            [sys.executable, "-c", SHOW],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = HashingEmbedder(16).embed_query("Why did we change the parser?").tobytes().hex()
    assert shown == {here}


def test_the_vectors_of_version_one_do_not_change() -> None:
    vector = HashingEmbedder(8).embed_query("parser error")
    np.testing.assert_allclose(vector, EXPECTED, atol=1e-6)


def test_texts_that_share_words_are_nearer() -> None:
    embedder = HashingEmbedder()
    question = embedder.embed_query("why did the parser change")
    near, stem, far = embedder.embed(
        ["the parser change was needed", "parsers and parsing", "blue ocean sky"]
    )
    assert question @ near > question @ stem > question @ far


@pytest.mark.parametrize("dimension", [-1, 0, 7, 4_097])
def test_an_odd_dimension_is_refused(dimension: int) -> None:
    with pytest.raises(InvalidInput):
        HashingEmbedder(dimension)


def test_the_name_tells_dimensions_apart() -> None:
    assert HashingEmbedder(64).model != HashingEmbedder(128).model
