"""A user's machine: a home, repositories with replicas, and a real agent process."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sync_agent.agent.asking import ask, poke
from sync_agent.agent.enrolling import enrol
from sync_agent.agent.folder import AgentFolder, holder, runs
from sync_agent.local.client import LocalClient
from sync_agent.replica import ProjectRow, Replica
from tests.support.hub import Hub, run_memctx

PATIENCE_S = 30.0


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> Any:
    """Waits until ``condition`` returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"{what} did not come in {seconds:.0f} s"
        time.sleep(0.02)


@dataclass
class Repository:
    """A git repository with a replica."""

    root: Path
    replica: Path

    def write(self, title: str, folder: AgentFolder | None = None) -> str:
        """Saves a session in the replica, and tells the agent as the commands do."""
        with LocalClient.open(self.replica, embedder=lambda: None) as client:
            project = client.replica.projects()[0].id
            made = client.sessions.create({"project": project, "title": title})
        if folder is not None:
            poke(folder, self.replica)
        return made["id"]

    def titles(self) -> set[str]:
        """Returns the titles of the sessions that the replica shows."""
        with LocalClient.open(self.replica, embedder=lambda: None) as client:
            return {session["title"] for session in client.sessions.list()}

    def project(self) -> ProjectRow:
        with Replica.open(self.replica) as replica:
            return replica.projects()[0]

    def pending(self) -> int:
        with Replica.open(self.replica) as replica:
            return replica.pending_count(replica.projects()[0].id)


@dataclass
class Machine:
    """A home folder, and what lies in it."""

    root: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.folder.make()

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def folder(self) -> AgentFolder:
        return AgentFolder(self.home / ".local/state/memory-context/agent")

    @property
    def environ(self) -> dict[str, str]:
        found = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        found |= {"HOME": str(self.home), "PATH": f"{self.root / 'bin'}:/usr/bin:/bin"}
        return found | dict(self.extra)

    @property
    def log(self) -> str:
        with suppress(FileNotFoundError):
            return self.folder.log.read_text()
        return ""

    def repository(self, name: str, hub: Hub | str | None = None) -> Repository:
        """Makes a repository with a remote and a replica; its marker names the hub."""
        root = self.root / name
        git = root / ".git"
        git.mkdir(parents=True)
        (git / "HEAD").write_text("ref: refs/heads/main\n")
        (git / "config").write_text(f'[remote "origin"]\n\turl = git@github.com:acme/{name}.git\n')
        if hub is not None:
            self.name_hub(root, hub)
        return Repository(root, enrol(self.folder, root).path)

    def name_hub(self, root: Path, hub: Hub | str) -> None:
        url = hub if isinstance(hub, str) else hub.url
        (root / ".memctx.toml").write_text(f'[client]\nhub = "x"\n\n[hubs.x]\nurl = "{url}"\n')
        if isinstance(hub, Hub):
            config = self.home / ".config" / "memory-context" / "config.toml"
            config.parent.mkdir(parents=True, exist_ok=True)
            config.write_text(f'[keys]\n"{url}" = "{hub.key}"\n')
            config.chmod(0o600)

    def memctx(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return run_memctx(arguments, self.environ, cwd or self.root)

    def json(self, *arguments: str, cwd: Path | None = None) -> Any:
        done = self.memctx("--json", *arguments, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr + self.log
        return json.loads(done.stdout)["data"]

    def ask(self, **request: Any) -> dict[str, Any]:
        return ask(self.folder, request)

    def state(self, repository: Repository) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(do="status")["replicas"][str(repository.replica)]
        return found

    def end(self) -> None:
        """Ends the agent, if one runs, when nobody looks at it any more."""
        pid = holder(self.folder)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        wait_for(lambda: not runs(self.folder), "the end of the agent")


@contextmanager
def running_agent(machine: Machine) -> Iterator[int]:
    """Runs the machine's agent until the block ends; yields its process id."""
    try:
        yield machine.json("agent", "start")["pid"]
    finally:
        machine.end()
