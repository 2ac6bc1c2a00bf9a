"""The doctor names what is wrong and the command that mends it, for any hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from memctx.commands.program import own_version
from tests.support.hub import Hub
from tests.support.servers.finding import free_port
from tests.support.web import respond, serving

STRONG = "mctx_0123456789ab_Jx0qT3v9yLw2nR7cKd8mZs5pHf1aUe6gBi4oXtVkWjQ"
FINE_PROGRESS = {
    "ok": True, "lag_events": 0, "oldest_unprocessed_s": 0.0, "stalled": [],
    "last_success_at": "2026-11-21T12:00:00.000000Z",
}  # fmt: skip
FINE = {
    "status": "ok",
    "checks": {
        "database": {"ok": True},
        "indexer": {"ok": True, "last_error": None},
        "progress": FINE_PROGRESS,
    },
}
INDEX = {
    "project": "p", "head": 9, "lexical_seq": 9, "vector_seq": 9, "pending": 0, "dead": 0,
}  # fmt: skip


def status(**changed: Any) -> dict[str, Any]:
    return {
        "version": own_version(), "mode": "server", "schema_revision": "x", "uptime_s": 1.0,
        "model": {"name": "m", "dimension": 3, "state": "ready"}, "index": [INDEX],
        "degraded": [], "sqlite_version": None, "started_at": "", **changed,
    }  # fmt: skip


@contextmanager
def saying(health: dict[str, Any], told: dict[str, Any] | None = None) -> Iterator[str]:
    """Serves what a hub says of itself."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        answer: dict[str, Any] = {"items": [], "next_cursor": None}
        code = 200
        if path == "/health/ready":
            answer, code = health, 503 if health["status"] == "unavailable" else 200
        elif path == "/api/v1/status":
            answer = told or status()
        respond(request, code, json.dumps(answer).encode(), Content_Type="application/json")

    with serving(handle) as url:
        yield url


def doctor(folder: Path, **env: str) -> tuple[int, list[dict[str, str]]]:
    """Returns the exit status and the checks."""
    hub = Hub(folder, free_port())
    done = hub.memctx("--json", "doctor", env=env)
    envelope = json.loads(done.stdout)
    found = envelope["data"] if envelope["status"] == "success" else envelope["error"]
    return done.returncode, found["checks"]


def named(checks: list[dict[str, str]], name: str) -> dict[str, str]:
    return next(check for check in checks if check["name"] == name)


def progress(**changed: Any) -> dict[str, Any]:
    made = {**FINE_PROGRESS, **changed}
    return {**FINE, "checks": {**FINE["checks"], "progress": made}}  # type: ignore[dict-item]


def test_a_hub_that_is_well(tmp_path: Path) -> None:
    with saying(FINE) as url:
        code, checks = doctor(tmp_path, MEMCTX_URL=url)
    assert code == 0
    assert named(checks, "progress")["state"] == named(checks, "key")["state"] == "ok"


def test_work_that_stands_still_is_a_failure_though_the_hub_answers(tmp_path: Path) -> None:
    health = progress(ok=False, lag_events=7, oldest_unprocessed_s=2_678_400.0, stalled=["vector"])
    with saying({**health, "status": "degraded"}) as url:
        code, checks = doctor(tmp_path, MEMCTX_URL=url)
    found = named(checks, "progress")
    assert (code, found["state"]) == (1, "fail")
    assert "7 events wait" in found["detail"]
    assert "2678400 s" in found["detail"]
    assert found["mend"].startswith("docker-compose restart worker")


def test_old_work_that_goes_on_is_a_warning(tmp_path: Path) -> None:
    with saying(progress(lag_events=900, oldest_unprocessed_s=1_000.0)) as url:
        code, checks = doctor(tmp_path, MEMCTX_URL=url)
    assert (code, named(checks, "progress")["state"]) == (0, "warn")


def test_a_database_that_is_away_is_named(tmp_path: Path) -> None:
    database = {"ok": False, "code": "unavailable", "detail": "the database does not answer"}
    health = {"status": "unavailable", "checks": {"database": database}}
    with saying(health) as url:
        code, checks = doctor(tmp_path, MEMCTX_URL=url)
    found = named(checks, "hub")
    assert (code, found["state"]) == (1, "fail")
    assert "the database does not answer" in found["detail"]
    assert "postgres" in found["mend"]


def test_dead_letters_and_parts_that_are_missing(tmp_path: Path) -> None:
    part = {"part": "vector", "reason": "Chroma is away", "mend": "docker-compose up -d chroma"}
    told = status(index=[{**INDEX, "dead": 3, "pending": 5000}], degraded=[part])
    with saying(FINE, told) as url:
        code, checks = doctor(tmp_path, MEMCTX_URL=url)
    assert code == 0
    assert named(checks, "vector")["mend"] == "docker-compose up -d chroma"
    assert "Chroma is away" in named(checks, "vector")["detail"]
    about = [check for check in checks if check["name"] == "index"]
    assert [check["state"] for check in about] == ["warn", "warn"]
    assert about[1]["mend"] == "memctx index repair"


def test_an_indexer_that_fails_is_named(tmp_path: Path) -> None:
    indexer = {"ok": False, "last_error": "storage_full: the disk is full"}
    health = {**FINE, "status": "degraded", "checks": {**FINE["checks"], "indexer": indexer}}  # type: ignore[dict-item]
    with saying(health) as url:
        code, checks = doctor(tmp_path, MEMCTX_URL=url)
    assert code == 1
    assert "the disk is full" in named(checks, "indexer")["detail"]


def test_something_else_at_the_address(tmp_path: Path) -> None:
    with serving(lambda request: respond(request, 200, b"<html>")) as url:
        code, checks = doctor(tmp_path, MEMCTX_URL=url)
    assert (code, named(checks, "hub")["state"]) == (1, "fail")


def server_settings(**more: str) -> dict[str, str]:
    port = free_port()
    return {
        "MEMCTX_API_KEY": STRONG,
        "MEMCTX_DATABASE_URL": f"postgresql+asyncpg://app:q7Xw9zR2kV4mN8tL@127.0.0.1:{port}/x",
        "MEMCTX_CHROMA_URL": f"http://127.0.0.1:{port}",
        "MEMCTX_REDIS_URL": f"redis://:b6cDf1aUe6gBi4oX@127.0.0.1:{port}/0",
        "MEMCTX_CACHE_SECRET": "tVkWjQHf1aUe6gBi4oXtVkWj", **more,
    }  # fmt: skip


def test_the_servers_of_a_teams_hub_are_asked_one_by_one(tmp_path: Path) -> None:
    with saying(FINE) as url:
        code, checks = doctor(tmp_path, MEMCTX_URL=url, **server_settings())
    assert code == 1
    for name, service in (("database", "postgres"), ("Chroma", "chroma"), ("Redis", "redis")):
        found = named(checks, name)
        assert found["state"] == "fail"
        assert found["mend"].endswith(f"docker-compose up -d {service}")
    assert named(checks, "secrets")["state"] == "ok"
    text = json.dumps(checks)
    for secret in ("q7Xw9zR2kV4mN8tL", "b6cDf1aUe6gBi4oX", "tVkWjQHf1aUe6gBi4oX", STRONG):
        assert secret not in text


@pytest.mark.parametrize("variable", ["MEMCTX_CACHE_SECRET", "MEMCTX_DATABASE_URL"])
def test_a_weak_secret_of_a_teams_hub_is_named(tmp_path: Path, variable: str) -> None:
    weak = {
        "MEMCTX_CACHE_SECRET": "changeme-changeme",
        "MEMCTX_DATABASE_URL": "postgresql+asyncpg://app:changeme@127.0.0.1:1/x",
    }[variable]
    with saying(FINE) as url:
        code, checks = doctor(tmp_path, MEMCTX_URL=url, **server_settings(**{variable: weak}))
    found = named(checks, "secrets")
    assert (code, found["state"], found["mend"]) == (1, "fail", "./setup.sh --docker")
    assert found["detail"].startswith(variable)


def test_settings_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    with saying(FINE) as url:
        given = {"MEMCTX_URL": url, "MEMCTX_DATABASE_URL": "mysql://x"}
        code, checks = doctor(tmp_path, **given)
    assert (code, named(checks, "settings")["state"]) == (1, "fail")
