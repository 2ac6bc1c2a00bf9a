"""Known vectors: what proves that an installed model is the model it claims to be.

``reference.json`` holds texts and their vectors by sentence-transformers on torch. Among them
are code, a log line, several scripts, the empty text and one longer than the 256 tokens seen.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Final, NamedTuple

import numpy as np

from memory_core.embedding.port import Embedder, Vectors, normalised
from memory_core.errors import ModelBroken

MINIMUM_COSINE: Final = 0.9999
"""float32 on another processor stays above 0.999999; 8 bits fall below 0.99."""


class Reference(NamedTuple):
    """Texts and their true vectors, float32 (texts, dimension)."""

    texts: list[str]
    vectors: Vectors


def read_reference() -> Reference:
    """Returns the reference of all-MiniLM-L6-v2."""
    text = resources.files("memory_core.embedding").joinpath("reference.json").read_text("utf-8")
    content = json.loads(text)
    return Reference(content["texts"], normalised(np.array(content["vectors"])))


def check_vectors(embedder: Embedder, minimum: float = MINIMUM_COSINE) -> float:
    """Returns the lowest cosine between the embedder's vectors and the reference.

    Raises:
        ModelBroken: it is below ``minimum``, or not a number.
    """
    reference = read_reference()
    found = embedder.embed(reference.texts)
    if found.shape != reference.vectors.shape:
        raise ModelBroken(f"the model gives vectors of {found.shape[-1]} numbers, expected 384")
    lowest = float(np.sum(found * reference.vectors, axis=1, dtype=np.float64).min())
    if not lowest >= minimum:
        raise ModelBroken(
            f"the model is not all-MiniLM-L6-v2: cosine {lowest:.4f} to the reference vectors"
        )
    return lowest
