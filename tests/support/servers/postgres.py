"""A PostgreSQL server, and databases on it made from a template in a tenth of a second."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.servers.children import start_child
from tests.support.servers.finding import (
    Unstartable,
    free_port,
    give,
    unprivileged,
    wait_until,
)

VARIABLE = "MEMCTX_TEST_POSTGRES_URL"
"""A superuser's URL such as ``postgresql://postgres@127.0.0.1:5432/postgres``."""

MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3
"""Bytes that must be free in memory for a server's files to lie there."""

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@dataclass
class PostgresServer:
    """A running server. ``folder`` and ``process`` only where it was started here."""

    url: str
    folder: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    templates: set[str] = field(default_factory=set)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Returns a superuser's connection that commits every statement."""
        return psycopg.connect(self.address(database), autocommit=True)

    def address(self, database: str) -> str:
        """Returns the superuser's URL of a database."""
        return f"{self.url.rpartition('/')[0]}/{database}"

    def create(self, template: str = "template0") -> str:
        """Returns the name of a new database made from a template."""
        name = f"t_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, name: str) -> None:
        """Drops a database, whoever uses it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(name)))

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ends a server that was started here: SIGINT is the fast shutdown."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    def start(self) -> None:
        """Starts it again on the same port and data, after `stop` or a kill."""
        if self.folder is None:
            raise Unstartable("it was not started here")
        self.process = _started(self.folder, int(self.url.rpartition(":")[2].split("/")[0]))
        _wait(self)


@contextmanager
def running_postgres(*, in_memory: bool = False) -> Iterator[PostgresServer]:
    """Yields a server: the one of ``MEMCTX_TEST_POSTGRES_URL``, local binaries, or a container.

    A local one has its files on the disk, or in memory where they fit: the hub insists on a
    server that waits for the disk, and databases are made and dropped several times faster there.

    Raises:
        Unstartable: there is none of the three.
    """
    if url := os.environ.get(VARIABLE):
        yield PostgresServer(url)
    elif _binary("initdb") is not None:
        with _local(memory() if in_memory else None) as server:
            yield server
    else:
        with _container() as server:
            yield server


def _binary(name: str) -> Path | None:
    found = [folder / name for folder in _BINARIES if (folder / name).exists()]
    if found:
        return found[0]
    on_path = shutil.which(name)
    return Path(on_path) if on_path else None


def memory() -> Path | None:
    """Returns a folder in memory, without what killed runs left there; None without room."""
    if not os.access(MEMORY, os.W_OK):
        return None
    for left in MEMORY.glob("memctx-pg-*"):
        if not Path(f"/proc/{left.name.split('-')[2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    return MEMORY if shutil.disk_usage(MEMORY).free > ROOM else None


@contextmanager
def _local(where: Path | None) -> Iterator[PostgresServer]:
    user = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix=f"memctx-pg-{os.getpid()}-", dir=where))
    server = None
    try:
        give(folder, user)
        port = free_port()
        initdb = [str(_binary("initdb")), "-D", str(folder / "data"), "-U", "postgres"]
        initdb += ["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums"]
        initdb += ["--no-sync"]
        made = subprocess.run(initdb, user=user, capture_output=True, cwd=folder, check=False)
        if made.returncode:
            raise Unstartable(made.stderr.decode(errors="replace")[-300:])
        server = PostgresServer(f"postgresql://postgres@127.0.0.1:{port}/postgres", folder)
        server.start()
        yield server
    finally:
        if server is not None:
            # Its files go too: it need not write what it holds.
            server.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path, port: int) -> subprocess.Popen[bytes]:
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "max_connections": 200,
        "shared_buffers": "128MB",
        "max_wal_size": "256MB" if folder.is_relative_to(MEMORY) else "1GB",
    }
    command = [str(_binary("postgres")), "-D", str(folder / "data")]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    with (folder / "log").open("ab") as log:
        return start_child(
            command, user=unprivileged(), cwd=folder, stdout=log, stderr=log, process_group=0
        )


def _wait(server: PostgresServer) -> None:
    def ready() -> bool:
        try:
            with server.connect():
                return True
        except psycopg.OperationalError:
            return False

    assert server.folder is not None
    wait_until(ready, server.process, server.folder / "log")


@contextmanager
def _container() -> Iterator[PostgresServer]:
    try:
        from testcontainers.postgres import PostgresContainer

        container = PostgresContainer("postgres:15-bookworm", driver=None).start()
    except Exception as error:
        raise Unstartable(f"no {VARIABLE}, no initdb, no container: {error}") from error
    try:
        yield PostgresServer(container.get_connection_url())
    finally:
        container.stop()
