"""No space is left for PostgreSQL's own log, without which it cannot go on."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from memory_core.ids import uuid7
from tests.faults.asking import asking, made, verified
from tests.faults.team.hubs import OK, Persistent, hubs_on, own_postgres, post
from tests.support.servers.finding import give, unprivileged
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MIB = 1024 * 1024
SIZE = 64 * MIB
SEGMENT = 16 * MIB
SPARE = 2 * MIB
MOST = 100


@contextmanager
def small_disk(size: int) -> Iterator[Path]:
    """Mounts a small tmpfs; skips where that is not possible."""
    folder = Path(tempfile.mkdtemp(prefix="wal-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        folder.rmdir()
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def move_log(server: PostgresServer, disk: Path) -> None:
    """Puts the log of a server on a disk of its own."""
    assert server.folder is not None
    server.stop()
    log, moved = server.folder / "data/pg_wal", disk / "pg_wal"
    disk.chmod(0o755)
    shutil.copytree(log, moved, copy_function=shutil.copy2)
    shutil.rmtree(log)
    for path in (moved, *moved.rglob("*")):
        give(path, unprivileged())
    moved.chmod(0o700)
    log.symlink_to(moved)
    server.start()


def use_up(server: PostgresServer, disk: Path) -> None:
    """Writes to the log until hardly anything is left of its last segment."""
    with server.connect() as connection:
        while True:
            at = "SELECT * FROM pg_walfile_name_offset(pg_current_wal_insert_lsn())"
            row = connection.execute(at.encode()).fetchone()
            last = max(path.name for path in (disk / "pg_wal").iterdir() if path.is_file())
            if row is not None and row[0] == last and row[1] > SEGMENT - SPARE:
                return
            connection.execute("SELECT pg_logical_emit_message(false, '', repeat('x', 1000000))")


def session(project: str) -> dict[str, Any]:
    """Returns some 200 kB that do not compress."""
    texts = [" ".join(secrets.token_hex(8) for _ in range(1_200)) for _ in range(10)]
    messages = [{"role": "user", "text": text} for text in texts]
    return {"project": project, "title": "t", "id": uuid7(), "messages": messages}


def fill(client: httpx.Client, project: str, kept: list[str]) -> tuple[str, httpx.Response]:
    """Saves sessions until one is refused; returns that one's id and the answer."""
    for _ in range(MOST):
        body = session(project)
        answer = post(client, "/sessions", uuid7(), body)
        if answer.status_code not in OK:
            return str(body["id"]), answer
        kept.append(str(body["id"]))
    raise AssertionError("the disk did not fill")


def check_kept(client: httpx.Client, kept: list[str], refused: str) -> None:
    """Everything that was answered is there, what was refused is not."""
    for identity in kept:
        assert client.get(f"/sessions/{identity}").json()["message_count"] == 10
    assert client.get(f"/sessions/{refused}").status_code == 404
    assert verified(client)["ok"]


def test_no_space_for_the_servers_log(tmp_path: Path) -> None:
    with small_disk(SIZE) as disk, own_postgres() as server:
        move_log(server, disk)
        assert server.process is not None
        with hubs_on(tmp_path, server) as hubs, asking(hubs.start()) as client:
            project = made(client, "/projects", slug="acme/wal")["id"]
            use_up(server, disk)
            ballast = disk / "ballast"
            ballast.write_bytes(b"\0" * (shutil.disk_usage(disk).free - SPARE))
            kept: list[str] = []
            began = time.monotonic()
            refused, answer = fill(client, project, kept)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            # It cannot recover either, and gives up: whoever watches over it starts it again.
            server.process.wait(120)
            ended = time.monotonic() - began
            ballast.unlink()
            freed = time.monotonic()
            server.start()
            body = {"project": project, "description": "d"}
            Persistent(client).post("/checkpoints", body)
            print(
                f"{len(kept)} answered writes; the server ended itself {ended:.1f} s after the"
                f" first write; well {time.monotonic() - freed:.1f} s after there was space"
            )
            check_kept(client, kept, refused)
