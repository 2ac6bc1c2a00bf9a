from __future__ import annotations

from tests.support.model import embedder, model_dir

__all__ = ["embedder", "model_dir"]
