"""The hub as a process: it starts, says where, refuses what it must, and stops in time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from context_migration import runner
from tests.support.servers.children import start_child
from tests.support.services import KEY, settings


def environment(folder: Path, port: int, **given: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMCTX_")}
    return {
        **kept,
        "MEMCTX_DATA_DIR": str(folder),
        "MEMCTX_PORT": str(port),
        "MEMCTX_HOST": "127.0.0.1",
        "MEMCTX_API_KEY": KEY,
        "MEMCTX_EMBEDDING_PROVIDER": "hashing",
        **given,
    }


@contextmanager
def started(folder: Path, **given: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yields a running hub and its address."""
    runner.upgrade(settings(folder).database)
    process = start_child(
        [sys.executable, "-m", "context_api.main"],
        env=environment(folder, 0, **given),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "listens on" in line:
                yield process, line.split()[3]
                break
        else:
            raise AssertionError("the hub has ended")
    finally:
        process.kill()
        process.communicate(timeout=20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_time_with_open_streams(tmp_path: Path, number: signal.Signals) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        started(tmp_path) as (process, url),
        httpx.Client(base_url=url, headers=headers, timeout=20) as client,
    ):
        project = client.post("/api/v1/projects", json={"slug": "a/b"}).json()["id"]
        with client.stream("GET", f"/api/v1/projects/{project}/events/stream") as stream:
            lines = stream.iter_lines()
            assert next(lines)
            begun = time.monotonic()
            process.send_signal(number)
            assert list(lines)[-1] == ""
        assert process.wait(10) == 0
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nothing_that_was_said_is_in_the_log(tmp_path: Path, log_format: str) -> None:
    """Neither what is stored nor what is asked nor a key; and what it takes to act on it is."""
    canary = "canary-8d1f"
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        started(tmp_path, MEMCTX_LOG_FORMAT=log_format) as (process, url),
        httpx.Client(base_url=url, headers=headers, timeout=20) as client,
    ):
        client.post("/api/v1/projects", json={"slug": canary})
        session = {
            "project": canary,
            "title": canary,
            "messages": [{"role": "user", "text": canary}],
            "unknown": canary,
        }
        refused = client.post("/api/v1/sessions", json=session)
        del session["unknown"]
        client.post("/api/v1/sessions", json=session)
        client.get("/api/v1/search", params={"q": canary})
        client.get("/api/v1/sessions", params={"project": canary}, headers={"X-API-Key": canary})
        client.post("/api/v1/search", json={"query": canary})
        client.post("/api/v1/search", content=canary)
        made = client.post("/api/v1/keys", json={"name": canary, "scopes": ["read"]}).json()
        process.terminate()
        assert process.stderr is not None
        text = process.stderr.read()
    assert canary not in text
    assert KEY.rpartition("_")[2] not in text
    assert made["key"].split("_", 2)[2] not in text
    assert refused.json()["request_id"] in text


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = subprocess.run(
            [sys.executable, "-m", "context_api.main"],
            env=environment(tmp_path, port),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: cannot listen on 127.0.0.1 port {port}")
    assert run.stderr.count("\n") == 1


def test_a_store_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"this is not a database" * 100)
    run = subprocess.run(
        [sys.executable, "-m", "context_api.main"],
        env=environment(tmp_path, 0),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in run.stderr
