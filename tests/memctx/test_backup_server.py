"""A backup of a team's hub on PostgreSQL is checked and restored on a laptop, and back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.context_api.http.serving import Hub as Served
from tests.context_api.http.serving import serving
from tests.support.databases import OnServer
from tests.support.hub import Hub, run_memctx, running_hub
from tests.support.servers.fixtures import postgres_server
from tests.support.servers.postgres import PostgresServer
from tests.support.services import KEY

__all__ = ["postgres_server"]

pytestmark = pytest.mark.slow

# Databases sort these in many ways; a digest over rows must not depend on it.
TAGS = ["B", "a", "Z", "z", "_x", "é", "ä", "10", "9", "a-b", "a b", "ß", "漢"]


@pytest.fixture
def team(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Served]:
    databases = OnServer(postgres_server)
    folder = tmp_path / "team"
    folder.mkdir()
    with serving(folder, database_url=databases.url(folder)) as hub:
        yield hub
    databases.drop()


def memctx(url: str, folder: Path, *arguments: str) -> Any:
    environ = Hub(folder, 1).environ | {"MEMCTX_URL": url, "MEMCTX_API_KEY": KEY}
    done = run_memctx(["--json", *arguments], environ, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["data"]


def fill(client: httpx.Client) -> None:
    for slug in ("acme/api", "acme/web"):
        project = client.post("/api/v1/projects", json={"slug": slug}).json()["id"]
        body = {
            "project": project, "title": "Ünïcode", "tags": TAGS,
            "messages": [{"role": "user", "text": "why?\n\u2028"}],
            "metadata": {"b": 1.5, "a": [1e-7, 10**15, None], "é": "ß", "": 0.1},
        }  # fmt: skip
        session = client.post("/api/v1/sessions", json=body)
        assert session.status_code == 201, session.text
        lesson = {
            "project": project, "name": "lesson", "pattern_type": "error", "tags": TAGS,
            "confidence": 0.1,
        }  # fmt: skip
        pattern = client.post("/api/v1/patterns", json=lesson).json()["id"]
        client.post(f"/api/v1/patterns/{pattern}/outcomes", json={"success": True})
        client.post("/api/v1/context", json={"project": project, "query": "why"})
        made = {"project": project, "description": "to be erased"}
        gone = client.post("/api/v1/checkpoints", json=made).json()["id"]
        client.delete(f"/api/v1/checkpoints/{gone}", params={"erase": "true"})


def test_between_a_team_and_a_laptop(team: Served, tmp_path: Path) -> None:
    fill(team.client)
    first, second = tmp_path / "first.tar.gz", tmp_path / "second.tar.gz"
    saved = memctx(team.url, tmp_path, "backup", str(first))
    assert b"to be erased" not in gzip.decompress(first.read_bytes())
    assert memctx(team.url, tmp_path, "backup", "verify", str(first))["ok"] is True
    with running_hub(tmp_path / "laptop") as laptop:
        laptop.json("restore", str(first))
        again = laptop.json("backup", str(second))
        assert laptop.json("log", "verify")["ok"] is True
    assert again["tenants"] == saved["tenants"]
    assert memctx(team.url, tmp_path, "backup", "verify", str(second))["ok"] is True


def test_from_a_laptop_to_a_team(team: Served, tmp_path: Path) -> None:
    path = tmp_path / "laptop.tar.gz"
    with running_hub(tmp_path / "laptop") as laptop:
        headers = {"Authorization": f"Bearer {laptop.key}"}
        with httpx.Client(base_url=laptop.url, headers=headers, timeout=30) as client:
            fill(client)
        laptop.json("backup", str(path))
    taken = memctx(team.url, tmp_path, "restore", str(path))["tenants"]
    assert [one["projects"] for one in taken] == [2]
    assert team.client.post("/api/v1/admin/verify").json()["ok"] is True
    back = tmp_path / "back.tar.gz"
    memctx(team.url, tmp_path, "backup", str(back))
    assert memctx(team.url, tmp_path, "backup", "verify", str(back))["ok"] is True
