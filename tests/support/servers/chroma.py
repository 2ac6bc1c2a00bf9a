"""A Chroma server, the release that docker-compose.yml names."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError

from tests.support.servers.children import start_child
from tests.support.servers.finding import Unstartable, free_port, wait_until

VARIABLE = "MEMCTX_TEST_CHROMA_URL"
BINDINGS = "chromadb_rust_bindings"
RUN = f"import sys, {BINDINGS}; {BINDINGS}.cli(['chroma', *sys.argv[1:]])"
"""What the program `chroma` does, but for a second in which it loads Chroma's client."""


@dataclass
class ChromaServer:
    """A running server. ``folder`` and ``process`` only where it was started here."""

    url: str
    folder: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Where a server that was started here keeps its files."""
        assert self.folder is not None
        return self.folder / "data"

    def start(self) -> None:
        """Starts it on its port over what its data folder holds."""
        program = _program()
        if self.folder is None or program is None:
            raise Unstartable("it was not started here")
        command = [*program, "run", "--host", "127.0.0.1", "--port", self.url.rpartition(":")[2]]
        command += ["--path", str(self.data)]
        log = self.folder / "log"
        environment = {**os.environ, "ANONYMIZED_TELEMETRY": "False"}
        with log.open("ab") as out:
            self.process = start_child(
                command,
                cwd=self.folder,
                stdout=out,
                stderr=out,
                env=environment,
                process_group=0,
            )
        wait_until(self._beats, self.process, log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends a server that was started here, with its children."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)

    def _beats(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/heartbeat", timeout=2) as answer:
                found: bool = answer.status == 200
                return found
        except (URLError, OSError):
            return False


@contextmanager
def running_chroma() -> Iterator[ChromaServer]:
    """Yields a server: the one of ``MEMCTX_TEST_CHROMA_URL``, ``chroma run``, or a container.

    Raises:
        Unstartable: there is none of the three.
    """
    if url := os.environ.get(VARIABLE):
        yield ChromaServer(url.rstrip("/"))
    elif _program() is not None:
        folder = Path(tempfile.mkdtemp(prefix="chroma-"))
        server = ChromaServer(f"http://127.0.0.1:{free_port()}", folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
    else:
        with _container() as server:
            yield server


def _program() -> list[str] | None:
    if find_spec(BINDINGS) is not None:
        return [sys.executable, "-c", RUN]
    found = shutil.which("chroma")
    return [found] if found else None


@contextmanager
def _container() -> Iterator[ChromaServer]:
    try:
        from testcontainers.core.container import DockerContainer

        container = DockerContainer("chromadb/chroma:1.5.9").with_exposed_ports(8000).start()
    except Exception as error:
        raise Unstartable(f"no {VARIABLE}, no chroma, no container: {error}") from error
    try:
        host, port = container.get_container_host_ip(), container.get_exposed_port(8000)
        server = ChromaServer(f"http://{host}:{port}")
        wait_until(server._beats, None, Path("/dev/null"))
        yield server
    finally:
        container.stop()
