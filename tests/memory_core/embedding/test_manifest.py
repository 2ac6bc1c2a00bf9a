from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memory_core.embedding.manifest import (
    Manifest,
    check_digests,
    file_sha256,
    read_manifest,
)
from memory_core.errors import ModelBroken, ModelMissing

FOLDER = "0123456789ab-01234567"


def installed(model_dir: Path, **changes: Any) -> Path:
    folder = model_dir / FOLDER
    folder.mkdir(parents=True)
    files = {}
    for name, content in (("model.onnx", b"model"), ("tokenizer.json", b"{}")):
        (folder / name).write_bytes(content)
        files[name] = {"sha256": file_sha256(folder / name), "size": len(content)}
    manifest = {
        "name": "all-MiniLM-L6-v2",
        "dimension": 384,
        "max_tokens": 256,
        "origin": {"kind": "path", "location": "/somewhere"},
        "folder": FOLDER,
        "files": files,
        "reference_cosine": 1.0,
        "installed_at": "2026-11-21T12:45:38.123456Z",
    } | changes
    (model_dir / "model.json").write_text(json.dumps(manifest))
    return model_dir


def test_reads_a_whole_install_and_leaves_room_for_other_precisions(tmp_path: Path) -> None:
    manifest = read_manifest(installed(tmp_path))
    check_digests(tmp_path, manifest)
    assert manifest.precision == "fp32"
    assert read_manifest(installed(tmp_path / "b", precision="int8")).precision == "int8"


def test_nothing_installed_is_missing_not_broken(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(ModelMissing, match="memctx model install"):
            read_manifest(place)


@pytest.mark.parametrize(
    "changes",
    [
        {"folder": "../../etc"},
        {"folder": "/etc"},
        {"folder": FOLDER + "\n"},
        {"files": {}},
        {"format": 2},
        {"precision": "fp8"},
        {"dimension": 0},
        {"surprise": 1},
        {"origin": {"kind": "mail", "location": "x"}},
    ],
)
def test_a_manifest_that_is_not_ours_is_broken(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ModelBroken):
        read_manifest(installed(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_manifest_cut_short_is_broken(tmp_path: Path, content: bytes) -> None:
    installed(tmp_path)
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(ModelBroken):
        read_manifest(tmp_path)


def test_a_manifest_that_is_a_folder_is_broken(tmp_path: Path) -> None:
    (tmp_path / "model.json").mkdir()
    with pytest.raises(ModelBroken):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_missing_and_shortened_files_are_broken(tmp_path: Path, name: str) -> None:
    path = installed(tmp_path) / FOLDER / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelBroken, match=name):
        read_manifest(tmp_path)
    path.unlink()
    with pytest.raises(ModelBroken, match=name):
        read_manifest(tmp_path)


def test_a_changed_byte_is_found_by_the_digest(tmp_path: Path) -> None:
    manifest = read_manifest(installed(tmp_path))
    (tmp_path / FOLDER / "model.onnx").write_bytes(b"Model")
    read_manifest(tmp_path)
    with pytest.raises(ModelBroken, match=r"model\.onnx"):
        check_digests(tmp_path, manifest)


def test_a_manifest_survives_writing_and_reading(tmp_path: Path) -> None:
    manifest = read_manifest(installed(tmp_path))
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
