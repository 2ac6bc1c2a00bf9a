"""The files of the hub's embedding model, for machines that search offline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from context_api.application.services import Services
from context_api.domain.caller import READ, Caller
from memory_core.embedding.manifest import FileName, Manifest, read_manifest
from memory_core.errors import ModelMissing, NotFound
from memory_core.records import Document

BLOCK_BYTES = 256 * 1024


async def described(services: Services, caller: Caller) -> Document:
    """Returns the model's name, width and files with their sizes and digests.

    Raises:
        NotFound: the hub embeds by something else than files, or not at all.
        ModelBroken: a file is missing, or is not as it was installed.
    """
    _, manifest = await _installed(services, caller)
    return {
        "name": manifest.name,
        "dimension": manifest.dimension,
        "precision": manifest.precision,
        "files": [
            {"name": name, "size": entry.size, "sha256": entry.sha256}
            for name, entry in manifest.files.items()
        ],
    }


async def file(
    services: Services, caller: Caller, name: FileName
) -> tuple[int, AsyncIterator[bytes]]:
    """Returns the size of one of the model's files, and its bytes.

    Raises:
        NotFound: the model has no such file; and as `described`.
    """
    folder, manifest = await _installed(services, caller)
    entry = manifest.files.get(name)
    if entry is None:
        raise NotFound(f"the model has no {name}")
    return entry.size, _blocks(folder / manifest.folder / name)


async def _installed(services: Services, caller: Caller) -> tuple[Path, Manifest]:
    caller.require(READ)
    folder = services.model_dir
    if folder is None:
        raise NotFound("this hub does not embed by a model file of its own")
    try:
        return folder, await asyncio.to_thread(read_manifest, folder)
    except ModelMissing as error:
        raise NotFound("this hub has no embedding model installed") from error


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    opened = await asyncio.to_thread(path.open, "rb")
    try:
        while block := await asyncio.to_thread(opened.read, BLOCK_BYTES):
            yield block
    finally:
        opened.close()
