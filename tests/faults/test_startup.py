"""What a hub says that cannot start, and how it starts without a model."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.asking import asking, hits, is_indexed, made, until
from tests.support.hub import Hub, free_port, running_hub
from tests.support.model import model_dir

__all__ = ["model_dir"]


def refusal(hub: Hub) -> str:
    """Starts a hub that must not start and returns the one line it says."""
    done = subprocess.run(
        [sys.executable, "-m", "memctx", "serve"],
        cwd=hub.folder,
        env=hub.environ,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )
    assert done.returncode not in {0, None}
    assert done.returncode > 0, "it ended by a signal"
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_two_hubs_on_one_folder(fresh_hub: Hub) -> None:
    second = Hub(fresh_hub.folder, free_port())
    assert "another hub uses" in refusal(second)
    with asking(fresh_hub) as client:
        assert client.get("/status").status_code == 200


def test_database_of_a_newer_release(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as hub:
        hub.stop()
        with sqlite3.connect(hub.data_dir / "hub.db") as database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.close()
        assert "newer" in refusal(hub)


def test_database_that_is_none(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", free_port())
    hub.data_dir.mkdir(parents=True)
    (hub.data_dir / "hub.db").write_bytes(b"not a database, " * 1000)
    assert "hub.db" in refusal(hub) or "database" in refusal(hub)
    assert (hub.data_dir / "hub.db").read_bytes() == b"not a database, " * 1000


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A read-only bind mount, since root may write where permissions forbid it."""
    hub = Hub(tmp_path / "hub", free_port())
    hub.data_dir.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(hub.data_dir)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode != 0:
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(f"no tmpfs can be mounted here: {mounted.stderr}")
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        assert str(hub.data_dir) in refusal(hub)
    finally:
        subprocess.run(["umount", str(hub.data_dir)], check=True)


@pytest.mark.slow
@pytest.mark.model
def test_model_that_comes_while_the_hub_runs(tmp_path: Path, model_dir: Path) -> None:
    """Until then words answer, and the answer says what is missing and how to mend it."""
    models = tmp_path / "models"
    running = running_hub(tmp_path / "hub", provider="onnx", MEMCTX_MODEL_DIR=str(models))
    with running as hub, asking(hub) as client:
        project = made(client, "/projects", slug="acme/api")["id"]
        message = {"role": "user", "text": "the zeppelin landed"}
        made(client, "/sessions", project="acme/api", title="a", messages=[message])
        answer = client.post("/search", json={"query": "zeppelin", "min_score": 0}).json()
        assert answer["hits"]
        assert answer["degraded"] == ["vector"]
        assert answer["mend"] == "memctx model install"
        models.mkdir()
        (models / model_dir.name).symlink_to(model_dir, target_is_directory=True)
        until(lambda: client.get("/status").json()["degraded"] == [], "the model is found")
        until(lambda: is_indexed(client, project), "the vectors are made")
        assert client.post("/search", json={"query": "zeppelin"}).json()["degraded"] == []
        assert hits(client, "airship")
