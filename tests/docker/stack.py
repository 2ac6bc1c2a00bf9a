"""A hub in containers under a name of its own, started by `./setup.sh --docker`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.docker import compose
from tests.docker.compose import ROOT, STORES
from tests.support.hub import free_port, run_memctx

RUNNING = (*STORES, "api", "worker")
PROJECT = "acme/lighthouse"
QUESTION = "why did we move the parser to a table of states?"
KEPT = (
    "PATH", "HOME", "LANG", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY", "DOCKER_CONFIG",
    "DOCKER_HOST",
)  # fmt: skip


class Stack:
    """A copy of the clone whose containers run under a name of their own."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """``settings`` stand in `.env` before the script sees it."""
        self.folder = folder / f"memctx-test-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self.home = folder / "home"
        self.home.mkdir()
        self._copy()
        if settings:
            lines = (f"{name}={value}\n" for name, value in settings.items())
            (self.folder / ".env").write_text("".join(lines))

    def _copy(self) -> None:
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name)
        models = ROOT / ".memctx-data/models"
        if models.is_dir():
            shutil.copytree(models, self.folder / ".memctx-data/models")
        # The client of this test run; without one the script would install it.
        (self.folder / ".venv/bin").mkdir(parents=True)
        (self.folder / ".venv/bin/memctx").symlink_to(Path(sys.executable).with_name("memctx"))

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return kept | {"MEMCTX_PORT": str(self.port), "HUB_IMAGE_TAG": "test"}

    @property
    def env(self) -> dict[str, str]:
        """What the script wrote."""
        lines = (self.folder / ".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")

    def run(self, *command: str, check: bool = True) -> str:
        """Runs a program in the clone and returns what it said."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=1200,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout + done.stderr

    def compose(self, *arguments: str, check: bool = True) -> str:
        return self.run(*compose.programs()[0], *arguments, check=check)

    def container(self, service: str) -> str:
        """Returns the id of a service's container, running or not."""
        label = "label=com.docker.compose"
        project, named = f"{label}.project={self.folder.name}", f"{label}.service={service}"
        listed = self.run("docker", "ps", "-aq", "--filter", project, "--filter", named)
        return listed.split()[0]

    def inspect(self, service: str) -> dict[str, Any]:
        told = json.loads(self.run("docker", "inspect", self.container(service)))
        found: dict[str, Any] = told[0]
        return found

    def inside(self, service: str, *command: str) -> str:
        return self.compose("exec", "-T", service, *command, check=False)

    def health(self, services: Iterable[str] = RUNNING) -> dict[str, str]:
        return {name: self.inspect(name)["State"]["Health"]["Status"] for name in services}

    def wait_healthy(self, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while (found := self.health()) != dict.fromkeys(RUNNING, "healthy"):
            assert time.monotonic() < end, (found, self.compose("logs", "--tail", "20"))
            time.sleep(0.5)

    def memctx(self, *arguments: str, **environment: str) -> Any:
        """Runs `memctx --json` against the hub and returns its data."""
        environ = self.environ | {
            "HOME": str(self.home),
            "MEMCTX_URL": f"http://127.0.0.1:{self.port}",
            "MEMCTX_API_KEY": self.env["MEMCTX_API_KEY"],
        }
        done = run_memctx(["--json", *arguments], environ | environment, self.home)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["data"]

    def found(self) -> list[str]:
        """Returns the snippets of what the question finds."""
        answer = self.memctx("search", QUESTION, "--project", PROJECT)
        return [hit["snippet"] for hit in answer["hits"]]

    def heads(self) -> dict[str, int]:
        return {one["slug"]: one["head"] for one in self.memctx("projects", "list")}
