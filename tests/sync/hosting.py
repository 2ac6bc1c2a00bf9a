"""Hubs for the machine, in a process of their own, which starts and stops one in a moment.

Run as a program it reads a folder from each line of its input, stops the hub it runs, starts one
there and answers with its port. So the process of the tests has no threads and may fork.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from context_api.application.transfer import from_document
from memory_core.records import Document
from tests.support.servers.children import start_child
from tests.support.services import KEY
from tests.sync.devices import shared_memory
from tests.sync.oracle import Log

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = 5
"""Histories that one hub sees, since a backup holds them all."""

ACTORS = ("ada", "bob")


def main() -> None:
    """Serves hubs one after the other, as it is told."""
    from context_api.bootstrap import embedded
    from context_api.http import logs
    from tests.context_api.http.serving import serving
    from tests.support.services import migrated
    from tests.sync.mutants import plant_in_hub

    logs.configure("error", "console")
    # Indexes are not what is tested here, and would take half of the processor.
    embedded.Indexer.run = _rest  # type: ignore[method-assign]
    plant_in_hub(sys.argv[1])
    with ExitStack() as stack:
        for line in sys.stdin:
            stack.pop_all().close()
            if folder := line.strip():
                migrated(Path(folder))
                hub = stack.enter_context(serving(Path(folder)))
                print(hub.port, flush=True)
            else:
                print(0, flush=True)


async def _rest(_: object) -> None:
    """Does the work of an indexer that has nothing to do."""


@dataclass
class Backup:
    """A hub as it was once: its export, and a copy of its disk."""

    lines: bytes
    disk: Path


@dataclass
class TestHub:
    """The hub that runs now, with a project for the history and a key for each actor."""

    __test__ = False

    process: subprocess.Popen[str]
    folder: Path
    url: str = ""
    project: Document = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    projects: int = 0
    _client: httpx.Client | None = None

    @property
    def project_id(self) -> str:
        """The id of the project."""
        return str(self.project["id"])

    @property
    def slug(self) -> str:
        """The name of the project."""
        return str(self.project["slug"])

    def begin(self) -> None:
        """Makes a project for a history; a hub that has had a few is followed by an empty one."""
        if self.projects % PROJECTS == 0:
            self._open()
            for actor in ACTORS:
                grant = {"name": actor, "owner": actor, "scopes": ["read", "write"]}
                self.keys[actor] = str(self.ask("POST", "/keys", json=grant)["key"])
        self.projects += 1
        named = {"slug": f"acme/api-{self.projects}", "identity": "marker"}
        self.project = self.ask("POST", "/projects", json=named)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Sends a request as the hub's own key and returns the JSON of its answer."""
        assert self._client is not None
        answer = self._client.request(method, f"/api/v1{path}", **options)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def ask_as(self, actor: str, method: str, path: str, **options: Any) -> Any:
        """Sends a request with the key of one of the actors."""
        return self.ask(
            method, path, headers={"Authorization": f"Bearer {self.keys[actor]}"}, **options
        )

    def log(self) -> Log:
        """Returns the project's log, all of it, as an export has it."""
        return read_log(self._export(), self.project_id)

    def backup(self) -> Backup:
        """Takes a backup of both kinds."""
        copy = self.folder / "copy.db"
        copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(self._file)) as file, closing(sqlite3.connect(copy)) as target:
            file.backup(target)
        return Backup(self._export(keys=True), copy)

    def restore(self, backup: Backup) -> None:
        """Loses all that came after a backup: an empty hub takes it in."""
        self._open()
        head = {"Content-Type": "application/x-ndjson"}
        self.ask("POST", "/import?restore=empty&keys=true", content=backup.lines, headers=head)

    def roll_back(self, backup: Backup) -> None:
        """Puts the copy of the disk back: the hub does not know that it lost anything."""
        self.end()
        for file in self._file.parent.glob("*.db*"):
            file.unlink()
        shutil.copyfile(backup.disk, self._file)
        self._start()

    def restart(self) -> None:
        """Stops the hub and starts it again on what it has stored."""
        self._start()

    def end(self) -> None:
        """Stops the hub; the process goes on for the next one."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._told("")

    @property
    def _file(self) -> Path:
        return self.folder / f"hub-{self.generation}" / "hub.db"

    def _export(self, *, keys: bool = False) -> bytes:
        assert self._client is not None
        answer = self._client.get("/api/v1/export", params={"keys": keys})
        assert answer.status_code == 200, answer.text
        return answer.content

    def _open(self) -> None:
        self.generation += 1
        self._start()

    def _start(self) -> None:
        if self._client is not None:
            self._client.close()
        port = self._told(str(self.folder / f"hub-{self.generation}"))
        self.url = f"http://127.0.0.1:{port}"
        head = {"Authorization": f"Bearer {KEY}"}
        self._client = httpx.Client(base_url=self.url, headers=head, timeout=60)

    def _told(self, line: str) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the process of the hubs has ended"
        return int(answer)


def read_log(lines: bytes, project_id: str) -> Log:
    """Returns one project's log from an export."""
    epoch, events = "", []
    for line in lines.splitlines():
        [(what, content)] = json.loads(line).items()
        if what == "project" and content["id"] == project_id:
            epoch = content["epoch"]
        if what == "event" and content["project_id"] == project_id:
            events.append(from_document(content))
    return Log(project_id, epoch, events)


@contextmanager
def running_hubs(mutant: str = "") -> Iterator[TestHub]:
    """Yields a hub in a process of its own, with a fault planted in it if one is named."""
    where = tempfile.TemporaryDirectory(prefix="hubs-", dir=shared_memory())
    with where as folder, _hub_process(mutant) as process:
        hub = TestHub(process, Path(folder))
        try:
            yield hub
        finally:
            hub.end()


@contextmanager
def _hub_process(mutant: str) -> Iterator[subprocess.Popen[str]]:
    process = start_child(
        [sys.executable, "-m", "tests.sync.hosting", mutant],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


if __name__ == "__main__":
    main()
