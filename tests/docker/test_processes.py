"""What the containers run, without containers: `memctx migrate`, `worker` and `serve`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from tests.support.databases import app_url, create_owned, owner_url
from tests.support.hub import free_port, run_memctx
from tests.support.servers.children import start_child
from tests.support.servers.postgres import PostgresServer

READY_SECONDS = 60
STOP_SECONDS = 10
HEALTHCHECK = Path(__file__).parents[2] / "infrastructure/docker/healthcheck.py"


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """A database that nobody has migrated, with an owner and the hub's role."""
    name = create_owned(postgres_server)
    yield name
    postgres_server.drop(name)


def environ(folder: Path, url: str, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    settings = {"MEMCTX_DATABASE_URL": url, "MEMCTX_DATA_DIR": str(folder / "data")}
    return kept | {"HOME": str(folder), "MEMCTX_EMBEDDING_PROVIDER": "hashing"} | settings | more


def migrate(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    return run_memctx(["migrate"], environ(folder, url), folder)


def answer(port: int, path: str) -> int:
    """Returns the status of an answer, 0 if there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as found:
            status: int = found.status
            return status
    except HTTPError as error:
        return error.code
    except (URLError, OSError):
        return 0


def healthcheck(port: int) -> int:
    command = [sys.executable, "-I", "-S", str(HEALTHCHECK)]
    asked = {"MEMCTX_PORT": str(port)}
    return subprocess.run(command, env=asked, capture_output=True, check=False).returncode


def test_the_owner_migrates_without_a_key_and_again(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    first = migrate(tmp_path, owner_url(postgres_server, database))
    assert first.returncode == 0, first.stderr
    assert "revision" in first.stderr
    assert migrate(tmp_path, owner_url(postgres_server, database)).stderr == first.stderr


def test_the_hubs_role_cannot_migrate(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    done = migrate(tmp_path, app_url(postgres_server, database))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_a_worker_says_how_it_is_and_nothing_else(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    assert migrate(tmp_path, owner_url(postgres_server, database)).returncode == 0
    port, figures = free_port(), free_port()
    assert healthcheck(port) == 1
    ports = {"MEMCTX_PORT": str(port), "MEMCTX_METRICS_PORT": str(figures)}
    with (tmp_path / "log").open("wb") as log:
        worker = start_child(
            [sys.executable, "-m", "memctx", "worker"],
            env=environ(tmp_path, app_url(postgres_server, database), **ports),
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        end = time.monotonic() + READY_SECONDS
        while answer(port, "/health/ready") != 200:
            said = (tmp_path / "log").read_text()
            assert worker.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.05)
        assert healthcheck(port) == 0
        for path in ("/api/v1/projects", "/api/v1/status", "/metrics"):
            assert answer(port, path) in {401, 404}, path
            assert answer(figures, path) == (200 if path == "/metrics" else 404), path
    finally:
        begin = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    assert time.monotonic() - begin < STOP_SECONDS


@pytest.mark.parametrize("command", [["worker"], ["serve"]])
def test_a_database_that_nobody_migrated_is_named(
    postgres_server: PostgresServer, database: str, tmp_path: Path, command: list[str]
) -> None:
    key = "mctx_3f9a51c07be2_bq2Zk9WvT4xLr7Yc1nGh8JdPs5MfAa0uEoKiRtQwXyz"
    url = app_url(postgres_server, database)
    settings = environ(tmp_path, url, MEMCTX_PORT=str(free_port()), MEMCTX_API_KEY=key)
    done = run_memctx(command, settings, tmp_path)
    assert done.returncode == 1
    assert "is at revision none" in done.stderr


def test_a_worker_needs_a_teams_database(tmp_path: Path) -> None:
    settings = environ(tmp_path, "")
    done = run_memctx(["worker"], settings, tmp_path)
    assert done.returncode != 0
    assert "MEMCTX_ROLE=worker needs PostgreSQL" in done.stderr
