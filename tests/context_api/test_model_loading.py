"""The embedder, loaded ahead or when it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from context_api.model_loading import ModelLoader
from memory_core.errors import ModelMissing
from tests.support.services import settings


def test_what_was_loaded_ahead_is_given_once_then_loaded_anew(tmp_path: Path) -> None:
    loader = ModelLoader(settings(tmp_path))
    loader.begin()
    first, second = loader(), loader()
    assert first.model == second.model
    assert first is not second


def test_a_failure_ahead_is_told_at_the_call_and_may_be_mended_later(tmp_path: Path) -> None:
    loader = ModelLoader(settings(tmp_path, embedding_provider="onnx"))
    loader.begin()
    for _ in range(2):
        with pytest.raises(ModelMissing):
            loader()
