"""`memctx model install --from-hub`: the hub's own model, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from memory_core.embedding.manifest import read_manifest
from memory_core.errors import InvalidInput, NotFound
from sync_agent.client import HubClient
from sync_agent.errors import BrokenAnswer
from sync_agent.model_files import WANTED, fetch_model
from tests.support.hub import Hub, running_hub
from tests.support.model import model_dir

__all__ = ["model_dir"]


@pytest.mark.model
def test_the_hubs_model_is_installed_and_searches_offline(model_dir: Path, tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", provider="onnx", model_dir=model_dir) as hub:
        models = tmp_path / "models"
        done = hub.json("model", "install", "--from-hub", env={"MEMCTX_MODEL_DIR": str(models)})
        assert done["changed"] is True
        installed = read_manifest(models / "all-MiniLM-L6-v2")
        theirs = read_manifest(model_dir)
        for name in WANTED:
            assert installed.files[name] == theirs.files[name]
        again = hub.json("model", "install", "--from-hub", env={"MEMCTX_MODEL_DIR": str(models)})
        assert again["changed"] is False


def test_a_hub_without_a_model_file_says_so(hub: Hub, tmp_path: Path) -> None:
    with hub.client() as client, pytest.raises(NotFound):
        fetch_model(client, tmp_path, lambda *_: None)
    failed = hub.memctx("model", "install", "--from-hub", "--from", str(tmp_path))
    assert failed.returncode == 2


class Handed:
    """A client whose hub hands out these bytes."""

    def __init__(self, described: dict[str, bytes], sent: dict[str, bytes]) -> None:
        self._described, self._sent = described, sent

    def model(self) -> dict[str, Any]:
        files = [
            {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in self._described.items()
        ]
        return {"name": "m", "dimension": 384, "precision": "fp32", "files": files}

    @contextmanager
    def model_file(self, name: str) -> Iterator[Iterator[bytes]]:
        yield iter([self._sent[name][:3], self._sent[name][3:]])


@pytest.mark.parametrize("sent", [b"shor", b"much too long", b"wrong!"])
def test_what_came_otherwise_is_not_kept(tmp_path: Path, sent: bytes) -> None:
    described = dict.fromkeys(WANTED, b"right!")
    client = cast("HubClient", Handed(described, {**described, WANTED[0]: sent}))
    with pytest.raises(BrokenAnswer):
        fetch_model(client, tmp_path, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_other_files_is_refused(tmp_path: Path) -> None:
    client = cast("HubClient", Handed({"weights.bin": b"x"}, {}))
    with pytest.raises(InvalidInput):
        fetch_model(client, tmp_path, lambda *_: None)
