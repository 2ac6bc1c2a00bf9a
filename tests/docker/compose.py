"""Reads the compose files, and finds what can run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.servers.finding import Unstartable, missing, required

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
EXAMPLES = sorted(ROOT.glob("docker-compose.*.yml"))
OURS = ("migrate", "api", "worker")
STORES = ("postgres", "redis", "chroma")

# ${NAME}, ${NAME:-default}, ${NAME:?why}; $$ is a dollar of the container's own shell.
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z0-9_]+)(?::?([-?])([^}]*))?\}")

SECRETS = {
    "POSTGRES_PASSWORD": "superuser-of-the-tests",
    "POSTGRES_OWNER_PASSWORD": "owner-of-the-tests",
    "POSTGRES_APP_PASSWORD": "app-of-the-tests",
    "POSTGRES_WORKER_PASSWORD": "worker-of-the-tests",
    "REDIS_PASSWORD": "redis-of-the-tests",
    "MEMCTX_CACHE_SECRET": "cache-of-the-tests",
    "MEMCTX_API_KEY": "mctx_0123456789ab_" + "k" * 43,
}


def document(path: Path = COMPOSE) -> dict[str, Any]:
    """Returns a compose file as it is written, its anchors followed."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def services(path: Path = COMPOSE) -> dict[str, dict[str, Any]]:
    """Returns the services of a compose file by name."""
    found: dict[str, dict[str, Any]] = document(path)["services"]
    return found


def variables(path: Path = COMPOSE) -> set[str]:
    """Returns the names of the variables that a compose file takes from `.env`."""
    return {name for name, _, _ in VARIABLE.findall(path.read_text(encoding="utf-8"))}


def programs() -> list[list[str]]:
    """Returns the forms of Compose that are installed here."""
    found = []
    if shutil.which("docker"):
        plugin = ["docker", "compose"]
        asked = subprocess.run([*plugin, "version"], capture_output=True, check=False)
        if asked.returncode == 0:
            found.append(plugin)
    if shutil.which("docker-compose"):
        found.append(["docker-compose"])
    return found


def engine() -> None:
    """Skips the test where no Docker engine runs, or fails it where services are required.

    ``MEMCTX_TEST_DOCKER=0`` says that none can run on this machine.
    """
    if os.environ.get("MEMCTX_TEST_DOCKER") == "0":
        pytest.skip("Docker cannot run here: MEMCTX_TEST_DOCKER=0")
    if not programs():
        missing("Docker", Unstartable("neither docker compose nor docker-compose"))
    asked = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        missing("Docker", Unstartable(asked.stderr.strip()[-200:]))


__all__ = [
    "COMPOSE", "EXAMPLES", "OURS", "ROOT", "SECRETS", "STORES", "VARIABLE", "document", "engine",
    "programs", "required", "services", "variables",
]  # fmt: skip
