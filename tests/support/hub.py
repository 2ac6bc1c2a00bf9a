"""A real hub: its own process on a free loopback port, over a temporary data folder.

Import the fixtures in the ``conftest.py`` of the tests that use them::

    from tests.support.hub import fresh_hub, hub

    __all__ = ["fresh_hub", "hub"]

``hub`` is shared by the tests of a module, ``fresh_hub`` is empty. Both embed by hashing;
`running_hub` also takes the folder of the real model.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sync_agent.channel import Channel, Retry
from sync_agent.client import HubClient
from sync_agent.errors import HubUnreachable
from sync_agent.url import parse_url
from tests.support.servers.children import start_child
from tests.support.servers.finding import free_port

KEY = "mctx_0123456789ab_" + "k" * 43
ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0
HUB_PYTHON = os.environ.get("MEMCTX_TEST_HUB_PYTHON") or sys.executable
"""A light installation has no hub: its tests run one of another."""
STOP_SECONDS = 30.0


@dataclass
class Hub:
    """A hub process, and how to reach it."""

    folder: Path
    port: int
    provider: str = "hashing"
    model_dir: Path | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    key: str = KEY
    program: Sequence[str] | None = None
    """What is started in the place of this `memctx`."""

    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        return (self.folder / "hub.log").read_text(errors="replace")

    @property
    def environ(self) -> dict[str, str]:
        """An environment in which `memctx` finds this hub, and nothing of the user's."""
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        found = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "TMPDIR", "PYTHONPATH")
            if name in os.environ
        }
        found |= {"HOME": str(home), "MEMCTX_URL": self.url, "MEMCTX_API_KEY": self.key}
        found |= {"MEMCTX_DATA_DIR": str(self.data_dir), "MEMCTX_PORT": str(self.port)}
        found["MEMCTX_EMBEDDING_PROVIDER"] = self.provider
        if self.model_dir is not None:
            found["MEMCTX_MODEL_DIR"] = str(self.model_dir.parent)
        return found | dict(self.extra)

    def start(self) -> None:
        """Starts the process and waits until it is ready."""
        with (self.folder / "hub.log").open("ab") as log:
            self.process = start_child(
                [*(self.program or [HUB_PYTHON, "-m", "memctx"]), "serve"],
                cwd=self.folder if self.program is None else ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + READY_SECONDS
        with self.client(budget=0.0) as client:
            while True:
                try:
                    client.ready()
                except HubUnreachable as error:
                    if self.process.poll() is not None or time.monotonic() > end:
                        raise AssertionError(
                            f"the hub did not start: {error}\n{self.log}"
                        ) from error
                    time.sleep(0.02)
                else:
                    return

    def kill(self) -> None:
        """Kills the process as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Ends the process, if it runs, when nobody looks at it any more: at once."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def stop(self) -> None:
        """Ends the process as an operator would."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def client(self, *, budget: float = 2.0, key: str | None = None) -> HubClient:
        """Returns a client of the hub."""
        url = parse_url(self.url)
        return HubClient(Channel(url, key or self.key, retry=Retry(budget=budget)))

    def memctx(
        self, *arguments: str, cwd: Path | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs `memctx` against this hub and returns what it said."""
        return run_memctx(
            arguments, self.environ | options.pop("env", {}), cwd or self.folder, **options
        )

    def json(self, *arguments: str, **options: Any) -> Any:
        """Runs `memctx --json` and returns the data of its envelope; it must succeed."""
        done = self.memctx("--json", *arguments, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["data"]


def run_memctx(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    cwd: Path,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Runs `memctx` in its own process."""
    options.setdefault("timeout", 120)
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    return subprocess.run(
        [sys.executable, "-m", "memctx", *arguments],
        cwd=cwd,
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@contextmanager
def running_hub(
    folder: Path,
    *,
    provider: str = "hashing",
    model_dir: Path | None = None,
    **extra: str,
) -> Iterator[Hub]:
    """Runs a hub in ``folder`` until the block ends; ``extra`` are more ``MEMCTX_…`` settings."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = Hub(folder, free_port(), provider, model_dir, extra)
    try:
        chosen.start()
        yield chosen
    finally:
        chosen.end()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that the tests of a module share."""
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def fresh_hub(tmp_path: Path) -> Iterator[Hub]:
    """An empty hub."""
    with running_hub(tmp_path / "hub") as running:
        yield running
