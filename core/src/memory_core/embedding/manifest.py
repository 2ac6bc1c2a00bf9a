"""What an installed model is: ``model.json``, and the folder of files that it names.

::

    models/all-MiniLM-L6-v2/
        model.json              the manifest, replaced atomically: the moment of an install
        6fd5d72fe458-81c3a2f0/  model.onnx, query.onnx and tokenizer.json, never changed once named

A reader that holds a manifest therefore sees one whole install, old or new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from memory_core.errors import ModelBroken, ModelMissing

FileName = Literal["model.onnx", "query.onnx", "tokenizer.json"]

MANIFEST_FILE: Final = "model.json"
MODEL_FILE: Final[FileName] = "model.onnx"
QUERY_FILE: Final[FileName] = "query.onnx"
"""The model for questions, in 8 bits; an install may lack it."""

TOKENIZER_FILE: Final[FileName] = "tokenizer.json"
FOLDER_PATTERN: Final = r"^[0-9a-f]{12}-[0-9a-f]{8}$"
"""Beginning of the model file's SHA-256, and random digits that tell two installs apart."""

_BLOCK_BYTES: Final = 1 << 20

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Strict):
    """One file of an install."""

    sha256: Sha256
    size: int = Field(ge=1)


class Origin(_Strict):
    """Where a model came from."""

    kind: Literal["path", "hub", "package"]
    location: str
    """A path, a URL or a package with its version."""
    revision: str | None = None
    weights_sha256: Sha256 | None = None
    """SHA-256 of the ``model.safetensors`` that the graph was built from, where it was."""


class Manifest(_Strict):
    """The content of ``model.json``."""

    format: Literal[1] = 1
    name: str
    precision: Literal["fp32", "int8"] = "fp32"
    dimension: int = Field(ge=1)
    max_tokens: int = Field(ge=8)
    origin: Origin
    folder: Annotated[str, StringConstraints(pattern=FOLDER_PATTERN)]
    files: dict[FileName, FileEntry]
    reference_cosine: float
    """The lowest cosine against the reference vectors, measured at installation."""
    installed_at: str


def read_manifest(model_dir: Path) -> Manifest:
    """Returns the manifest of an installed model.

    Raises:
        ModelMissing: nothing is installed there.
        ModelBroken: the manifest cannot be read, or a file is absent or has another size.
    """
    path = model_dir / MANIFEST_FILE
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelMissing(
            f"no embedding model in {str(model_dir)!r}; run `memctx model install`"
        ) from None
    except OSError as error:
        raise ModelBroken(f"{str(path)!r} cannot be read: {error.strerror}") from error
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ModelBroken(f"{str(path)!r} is not a manifest that this version reads") from error
    for name in {MODEL_FILE, TOKENIZER_FILE, *manifest.files}:
        _check_size(model_dir / manifest.folder / name, manifest, name)
    return manifest


def _check_size(path: Path, manifest: Manifest, name: FileName) -> None:
    entry = manifest.files.get(name)
    if entry is None:
        raise ModelBroken(f"the manifest does not name {name}")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ModelBroken(f"{str(path)!r} is missing") from error
    if size != entry.size:
        raise ModelBroken(f"{str(path)!r} has {size} bytes, the manifest says {entry.size}")


def file_sha256(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Returns the SHA-256 of a file; ``progress`` is told the bytes read so far."""
    digest = hashlib.sha256()
    read = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            read += len(block)
            if progress is not None:
                progress(read)
    return digest.hexdigest()


def check_digests(model_dir: Path, manifest: Manifest) -> None:
    """Compares every file with its digest in the manifest.

    Raises:
        ModelBroken: a file differs or cannot be read.
    """
    for name, entry in manifest.files.items():
        path = model_dir / manifest.folder / name
        try:
            found = file_sha256(path)
        except OSError as error:
            raise ModelBroken(f"{str(path)!r} cannot be read: {error.strerror}") from error
        if found != entry.sha256:
            raise ModelBroken(f"{str(path)!r} does not match its digest in the manifest")
