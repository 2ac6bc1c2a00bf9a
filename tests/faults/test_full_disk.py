"""A disk that fills up: writes are refused whole, reads go on, space makes it well again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from memory_core.ids import uuid7
from tests.faults.asking import asking, hits, is_indexed, made, until, verified
from tests.support.hub import Hub, free_port, running_hub


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mounts a small tmpfs; where that is not possible the test is skipped, unless it must run."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(f"no tmpfs can be mounted here: {done.stderr}")
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Takes all space that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def write(client: httpx.Client) -> tuple[str, httpx.Response]:
    session = uuid7()
    messages = [{"role": "user", "text": f"ballast {uuid7()} " * 200} for _ in range(10)]
    body = {"id": session, "project": "acme/api", "title": "more", "messages": messages}
    return session, client.post("/sessions", json=body)


@pytest.mark.slow
def test_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "hub" / "data", "16m"), running_hub(tmp_path / "hub") as hub:
        with asking(hub) as client:
            project = made(client, "/projects", slug="acme/api")["id"]
            first = {"role": "user", "text": "the zeppelin was here before"}
            kept = [
                made(client, "/sessions", project="acme/api", title="first", messages=[first])["id"]
            ]
            until(lambda: is_indexed(client, project), "the index is at the head")
            ballast = hub.data_dir / "ballast"
            fill(ballast)
            refused: list[str] = []
            for _ in range(60):
                session, answer = write(client)
                if answer.status_code == 201:
                    kept.append(session)
                    continue
                assert answer.status_code in {503, 507}, answer.text
                assert answer.json()["code"] in {"storage_full", "unavailable"}, answer.text
                refused.append(session)
                if len(refused) == 5:
                    break
            assert len(refused) == 5
            assert answer.json()["code"] == "storage_full"
            for session in refused:
                assert client.get(f"/sessions/{session}").status_code == 404
            for session in kept:
                assert client.get(f"/sessions/{session}").status_code == 200
            assert client.get("/sessions?project=acme/api").status_code == 200
            assert any("zeppelin" in hit["snippet"] for hit in hits(client, "zeppelin"))
            pack = client.post("/context", json={"project": "acme/api", "query": "zeppelin"})
            assert pack.status_code == 200, pack.text
            assert verified(client)["ok"]
            assert b"zeppelin" in client.get("/export").content, "it can still be saved"
            ballast.unlink()

            def works() -> bool:
                session, answer = write(client)
                kept.append(session)
                return answer.status_code == 201

            assert works()
            until(lambda: is_indexed(client, project), "indexing goes on")
            assert verified(client)["ok"]
            assert client.get("/status").json()["degraded"] == []
        hub.stop()
        hub.start()
        with asking(hub) as client:
            assert verified(client)["ok"]
            for session in kept:
                assert client.get(f"/sessions/{session}").status_code == 200


@pytest.mark.slow
def test_disk_that_is_full_at_the_start(tmp_path: Path) -> None:
    """It says so in one line, and starts once there is room."""
    with small_disk(tmp_path / "hub" / "data", "1m"):
        ballast = tmp_path / "hub" / "data" / "ballast"
        fill(ballast)
        hub = Hub(tmp_path / "hub", free_port())
        with pytest.raises(AssertionError, match="the hub did not start") as raised:
            hub.start()
        assert "Traceback" not in str(raised.value)
        assert "full" in str(raised.value)
