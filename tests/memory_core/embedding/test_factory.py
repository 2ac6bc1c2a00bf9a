from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from memory_core.embedding.factory import PROVIDERS, build
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.embedding.openai import OpenAIEmbedder
from memory_core.errors import InvalidInput, ModelBroken, ModelMissing

HEAVY = "{'onnxruntime', 'tokenizers', 'httpx', 'sentence_transformers', 'torch'}"
IMPORTS = (
    "import sys, memory_core.embedding.factory, memory_core.embedding.install, "
    "memory_core.embedding.openai, memory_core.embedding.sentence_transformers;"
    f"print(sorted({HEAVY} & set(sys.modules)))"
)


def test_without_a_model_nothing_takes_its_place(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="memctx model install"):
        build("onnx", model_dir=tmp_path)


def test_a_damaged_model_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModelBroken):
        build("onnx", model_dir=tmp_path)


@pytest.mark.parametrize("provider", ["", "ONNX", "auto", "minilm"])
def test_an_unknown_provider_is_refused_with_the_choice(provider: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=", ".join(PROVIDERS)):
        build(provider, model_dir=tmp_path)


def test_the_hashing_embedder_must_be_asked_for(tmp_path: Path) -> None:
    embedder = build("hashing", model_dir=tmp_path)
    assert isinstance(embedder, HashingEmbedder)
    assert build("hashing", model_dir=tmp_path, dimension=64).dimension == 64


def test_the_openai_provider_needs_its_settings(tmp_path: Path) -> None:
    embedder = build(
        "openai", model_dir=tmp_path, url="http://127.0.0.1:1/v1", model="m", dimension=8
    )
    assert isinstance(embedder, OpenAIEmbedder)
    for missing in (
        {"url": "", "model": "m", "dimension": 8},
        {"url": "ftp://x", "model": "m", "dimension": 8},
        {"url": "http://x", "model": "", "dimension": 8},
        {"url": "http://x", "model": "m", "dimension": None},
        {"url": "http://x", "model": "m", "dimension": 0},
    ):
        with pytest.raises(InvalidInput):
            build("openai", model_dir=tmp_path, **missing)  # type: ignore[arg-type]


def test_sentence_transformers_is_optional_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        build("sentence-transformers", model_dir=tmp_path)
    if importlib.util.find_spec("sentence_transformers") is None:
        with pytest.raises(ModelMissing, match=r"memory-context\[sentence-transformers\]"):
            build("sentence-transformers", model_dir=tmp_path, model="some/model")
    else:
        with pytest.raises(ModelMissing, match="some/model"):
            build("sentence-transformers", model_dir=tmp_path, model="some/model")


def test_importing_loads_no_runtime() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, check=True, text=True
    )
    assert shown.stdout.strip() == "[]"
