"""The installed embedding model, for the tests that need the real one.

Import the fixtures where they are used::

    from tests.support.model import embedder, model_dir  # noqa: F401
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from memory_core.embedding.manifest import read_manifest
from memory_core.embedding.onnx import OnnxEmbedder
from memory_core.errors import ContextError

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / ".memctx-data" / "models" / "all-MiniLM-L6-v2"


def find_model_dir() -> Path:
    """Returns the folder of the installed model: ``MEMCTX_TEST_MODEL_DIR`` or the clone's own.

    Raises:
        ModelMissing: there is none.
        ModelBroken: there is one, and it is damaged.
    """
    model_dir = Path(os.environ.get("MEMCTX_TEST_MODEL_DIR") or DEFAULT)
    read_manifest(model_dir)
    return model_dir


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The folder of the installed model; without one the test is skipped.

    With ``REQUIRE_SERVICES=1`` it fails instead, so that a test run meant to be complete
    cannot pass by leaving these out.
    """
    try:
        return find_model_dir()
    except ContextError as error:
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(f"the embedding model is required: {error.detail}")
        pytest.skip(error.detail)


@pytest.fixture(scope="session")
def embedder(model_dir: Path) -> OnnxEmbedder:
    """The real embedder, loaded once for the whole run."""
    return OnnxEmbedder.load(model_dir)
