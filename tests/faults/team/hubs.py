"""Hubs as real processes over PostgreSQL alone, and those who write to them."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from memory_core.ids import uuid7
from tests.support.databases import app_url, template
from tests.support.hub import Hub
from tests.support.servers.finding import Unstartable, free_port, missing
from tests.support.servers.postgres import PostgresServer, running_postgres
from tests.support.stack import KEY

RECOVERY_S = 60.0
OK = frozenset({200, 201})


@contextmanager
def own_postgres() -> Iterator[PostgresServer]:
    """Yields a server that a test may stop, kill and change."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres())
        except Unstartable as error:
            missing("PostgreSQL", error)
        if server.process is None:
            pytest.skip("the server was not started here, so it is not ours to break")
        yield server


@dataclass
class Hubs:
    """Processes over one database of ``server``."""

    folder: Path
    server: PostgresServer
    database: str
    settings: Mapping[str, str]
    all: list[Hub] = field(default_factory=list)

    def start(self, role: str = "api", *, port: int | None = None) -> Hub:
        """Starts a process; ``port`` is of another way to the server."""
        url = app_url(self.server, self.database)
        if port is not None:
            url = re.sub(r"@(.*):\d+/", rf"@\1:{port}/", url)
        extra = {"MEMCTX_ROLE": role, "MEMCTX_DATABASE_URL": url, **self.settings}
        folder = self.folder / f"{role}-{len(self.all)}"
        folder.mkdir(parents=True)
        hub = Hub(folder, free_port(), extra=extra, key=KEY)
        self.all.append(hub)
        hub.start()
        return hub

    def asked(self, statement: str, *values: object) -> Any:
        """Returns the first column of the first row, as a superuser sees it."""
        with self.server.connect(self.database) as connection:
            row = connection.execute(statement.encode(), values).fetchone()
        return row[0] if row else None


@contextmanager
def hubs_on(folder: Path, server: PostgresServer, **settings: str) -> Iterator[Hubs]:
    """Yields an empty database without a process; ``settings`` by their names in lower case."""
    name = server.create(template(server))
    named = {f"MEMCTX_{setting.upper()}": value for setting, value in settings.items()}
    hubs = Hubs(folder, server, name, named)
    try:
        yield hubs
    finally:
        for hub in hubs.all:
            if hub.process is not None:
                hub.process.terminate()
        for hub in hubs.all:
            hub.stop()
        server.drop(name)


def seeded() -> int:
    """Returns the seed of a test, and prints it."""
    seed = int(os.environ.get("MEMCTX_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"MEMCTX_TEST_SEED={seed}")
    return seed


def processes(server: PostgresServer) -> list[psutil.Process]:
    """Returns the server's processes, the one that starts the others first."""
    assert server.process is not None
    postmaster = psutil.Process(server.process.pid)
    return [postmaster, *postmaster.children(recursive=True)]


@contextmanager
def standing(server: PostgresServer) -> Iterator[None]:
    """Stops every process of a server while the block runs."""
    found = processes(server)
    for process in found:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(found):
            process.resume()


def post(client: httpx.Client, path: str, key: str, body: Mapping[str, Any]) -> httpx.Response:
    """Sends a request under an Idempotency-Key."""
    return client.post(path, json=dict(body), headers={"Idempotency-Key": key})


@dataclass
class Persistent:
    """Sends each request again under its key until it is answered, as a good client does."""

    client: httpx.Client
    tries: int = 0
    replayed: int = 0
    pause_s: float = 0.1

    def post(self, path: str, body: Mapping[str, Any], patience_s: float = RECOVERY_S) -> Any:
        """Returns the document of the answer."""
        key, end = uuid7(), time.monotonic() + patience_s
        while True:
            self.tries += 1
            try:
                answer = post(self.client, path, key, body)
            except httpx.TransportError:
                if time.monotonic() > end:
                    raise
            else:
                if answer.status_code in OK:
                    self.replayed += answer.headers.get("Idempotency-Replayed") == "true"
                    return answer.json()
                assert answer.status_code == 503, answer.text
                assert time.monotonic() < end, answer.text
            time.sleep(self.pause_s)


def together(work: Sequence[Callable[[], None]]) -> None:
    """Runs functions at once, each in a thread, and raises what one of them raised."""
    failures: list[BaseException] = []

    def guarded(act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(act,)) for act in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    if failures:
        raise failures[0]
