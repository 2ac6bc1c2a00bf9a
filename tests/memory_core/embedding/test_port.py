from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.embedding.hashing import HashingEmbedder
from memory_core.embedding.port import Embedder, model_name, normalised, storable

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
ANY_TEXT = st.text(st.characters(), max_size=200)


@pytest.mark.parametrize("label", ["all-MiniLM-L6-v2", "text-embedding-3-small", "v1.5_x"])
def test_a_label_that_is_a_name_stays(label: str) -> None:
    assert model_name(label) == label


@given(ANY_TEXT)
def test_every_label_becomes_a_name(label: str) -> None:
    assert NAME.fullmatch(model_name(label))


@given(ANY_TEXT, ANY_TEXT)
def test_two_labels_never_share_a_name(one: str, other: str) -> None:
    assert (model_name(one) == model_name(other)) == (one == other)


@pytest.mark.parametrize("pair", [("a/b", "a:b"), ("a/b", "a-b"), ("x" * 65, "x" * 66)])
def test_labels_that_look_alike_stay_apart(pair: tuple[str, str]) -> None:
    assert model_name(pair[0]) != model_name(pair[1])


@given(ANY_TEXT)
def test_storable_text_is_utf8_without_nul(text: str) -> None:
    cleaned = storable(text)
    assert "\0" not in cleaned
    cleaned.encode("utf-8")
    assert storable(cleaned) == cleaned


def test_storable_drops_only_what_cannot_be_stored() -> None:
    assert storable("a\0b\ud800c é日🚀\n") == "abc é日🚀\n"


def test_normalised_rows_have_length_one_and_zero_stays_zero() -> None:
    rows = normalised(np.array([[3.0, 4.0], [0.0, 0.0], [1e-30, 0.0]]))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0], [1.0, 0.0]], atol=1e-6)


def test_providers_stand_behind_the_port() -> None:
    assert isinstance(HashingEmbedder(), Embedder)
