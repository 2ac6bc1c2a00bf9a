"""The embedding model, fetched from the hub: the one that made the vectors which it hands out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from memory_core.errors import InvalidInput
from sync_agent.errors import BrokenAnswer
from sync_agent.files import complete_file

if TYPE_CHECKING:
    from sync_agent import documents as doc
    from sync_agent.client import HubClient

    Progress = Callable[[str, int, int | None], None]

WANTED = ("model.onnx", "tokenizer.json")
"""What is fetched; the smaller model for questions is made of it where it is installed."""

MAX_BYTES = 1 << 30


def fetch_model(client: HubClient, folder: Path, progress: Progress) -> None:
    """Writes the files of the hub's model into ``folder``, each as the hub describes it.

    Raises:
        NotFound: the hub embeds by something else than files.
        InvalidInput: its model is not of files that are installed here.
        BrokenAnswer: what came is not what the hub described.
        LocalFailure: it cannot be written.
    """
    described = client.model()
    files = {file["name"]: file for file in described["files"]}
    for name in WANTED:
        if name not in files or not 0 < files[name]["size"] <= MAX_BYTES:
            raise InvalidInput(f"the hub's model {described['name']} has no usable {name}")
    for name in WANTED:
        _fetch(client, files[name], folder / name, progress)


def _fetch(client: HubClient, file: doc.ModelFile, path: Path, progress: Progress) -> None:
    digest, size = hashlib.sha256(), 0
    with client.model_file(file["name"]) as pieces, complete_file(path) as target:
        for piece in pieces:
            size += len(piece)
            if size > file["size"]:
                break
            digest.update(piece)
            target.write(piece)
            progress(f"{file['name']} from the hub", size, file["size"])
        if size != file["size"] or digest.hexdigest() != file["sha256"]:
            raise BrokenAnswer(f"{file['name']} came otherwise than the hub described it")
