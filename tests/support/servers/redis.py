"""A Redis server with a password, as in production."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers.children import start_child
from tests.support.servers.finding import Unstartable, answers, free_port, wait_until

VARIABLE = "MEMCTX_TEST_REDIS_URL"
PASSWORD = "only-here-4Qz7-Lw2v"


@dataclass
class RedisServer:
    """A running server. ``folder`` and ``process`` only where it was started here."""

    url: str
    folder: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def start(self) -> None:
        """Starts it, empty, on its port."""
        if self.folder is None:
            raise Unstartable("it was not started here")
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--requirepass", PASSWORD, "--save", "", "--appendonly", "no", "--hz", "1"]
        log = self.folder / "log"
        with log.open("ab") as out:
            self.process = start_child(
                command, cwd=self.folder, stdout=out, stderr=out, process_group=0
            )
        wait_until(lambda: answers(self.port), self.process, log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends a server that was started here."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(10)


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Yields a server: the one of ``MEMCTX_TEST_REDIS_URL``, a local binary, or a container.

    Raises:
        Unstartable: there is none of the three.
    """
    if url := os.environ.get(VARIABLE):
        yield RedisServer(url)
    elif shutil.which("redis-server"):
        folder = Path(tempfile.mkdtemp(prefix="redis-"))
        port = free_port()
        server = RedisServer(f"redis://:{PASSWORD}@127.0.0.1:{port}/0", folder, port=port)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
    else:
        with _container() as server:
            yield server


@contextmanager
def _container() -> Iterator[RedisServer]:
    try:
        from testcontainers.redis import RedisContainer

        container = RedisContainer("redis:7-bookworm", password=PASSWORD).start()
    except Exception as error:
        raise Unstartable(f"no {VARIABLE}, no redis-server, no container: {error}") from error
    try:
        host, port = container.get_container_host_ip(), container.get_exposed_port(6379)
        yield RedisServer(f"redis://:{PASSWORD}@{host}:{port}/0")
    finally:
        container.stop()
