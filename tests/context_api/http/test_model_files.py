"""The model's files come whole, and nothing else of the disk does."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from memory_core.clock import now
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import serving

FILES = {"model.onnx": b"graph" * 200_000, "tokenizer.json": b"{}"}


def installed(folder: Path) -> None:
    """Writes an install whose model cannot be run, but is whole."""
    inside = folder / "0123456789ab-01234567"
    inside.mkdir(parents=True)
    entries = {}
    for name, data in FILES.items():
        (inside / name).write_bytes(data)
        entries[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    manifest = {
        "name": "all-MiniLM-L6-v2", "dimension": 384, "max_tokens": 256, "files": entries,
        "origin": {"kind": "path", "location": "x"}, "folder": inside.name,
        "reference_cosine": 1.0, "installed_at": now(),
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(manifest))


def folder(below: Path, name: str) -> Path:
    made = below / name
    made.mkdir()
    return made


def test_the_model_is_handed_out(tmp_path: Path) -> None:
    installed(tmp_path / "models" / "all-MiniLM-L6-v2")
    given = {"embedding_provider": "onnx", "model_dir": tmp_path / "models"}
    with serving(folder(tmp_path, "hub"), **given) as hub:
        model = checked(hub.client.get("/api/v1/model"), 200)
        assert (model["name"], model["dimension"]) == ("all-MiniLM-L6-v2", 384)
        for entry in model["files"]:
            answer = hub.client.get(f"/api/v1/model/files/{entry['name']}")
            assert answer.status_code == 200
            assert answer.headers["content-length"] == str(entry["size"])
            assert hashlib.sha256(answer.content).hexdigest() == entry["sha256"]
            assert answer.content == FILES[entry["name"]]
        missing = hub.client.get("/api/v1/model/files/query.onnx")
        assert checked(missing, 404)["code"] == "not_found"
        for name in ("model.json", "..%2Fmodel.json", "%2e%2e%2fhub.db", "hub.db"):
            assert hub.client.get(f"/api/v1/model/files/{name}").status_code in {404, 422}


def test_a_hub_without_model_files_says_so(tmp_path: Path) -> None:
    with serving(folder(tmp_path, "hashing")) as hub:
        assert checked(hub.client.get("/api/v1/model"), 404)["code"] == "not_found"
    given = {"embedding_provider": "onnx", "model_dir": tmp_path / "none"}
    with serving(folder(tmp_path, "missing"), **given) as hub:
        assert checked(hub.client.get("/api/v1/model"), 404)["code"] == "not_found"
