"""A team's hub as real processes: API and worker over PostgreSQL, Chroma and Redis.

The servers belong to the stack alone, so that a test may stop, kill and wipe them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.databases import app_url, template
from tests.support.hub import Hub, free_port
from tests.support.servers.chroma import ChromaServer, running_chroma
from tests.support.servers.finding import Unstartable, missing
from tests.support.servers.postgres import PostgresServer, running_postgres
from tests.support.servers.redis import RedisServer, running_redis

CACHE_SECRET = "kept-apart-8f21c6d0e4b7"
KEY = "mctx_0123456789ab_Vq3xT8mZrJ5wLd2nYk7cHf0sPb9gEu4aRi6oXtNj1KM"
"""A key that a hub which others can reach starts with."""


@dataclass
class Servers:
    """The three servers that a team's hub stands on."""

    postgres: PostgresServer
    redis: RedisServer
    chroma: ChromaServer


@dataclass
class Stack:
    """A hub of several processes. ``environ`` is what they have in common."""

    folder: Path
    servers: Servers
    environ: dict[str, str]
    apis: list[Hub] = field(default_factory=list)
    workers: list[Hub] = field(default_factory=list)

    @property
    def api(self) -> Hub:
        """The first API process."""
        return self.apis[0]

    def start(self, role: str, **extra: str) -> Hub:
        """Starts one more process and waits until it is ready."""
        made = self.apis if role == "api" else self.workers
        folder = self.folder / f"{role}-{len(made)}"
        folder.mkdir(parents=True)
        environ = {**self.environ, "MEMCTX_ROLE": role, **extra}
        hub = Hub(folder, free_port(), extra=environ, key=KEY)
        made.append(hub)
        hub.start()
        return hub

    def end(self) -> None:
        """Ends every process at once."""
        for hub in [*self.workers, *self.apis]:
            hub.end()


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Yields servers of one's own; without one of them the test is skipped, or fails."""
    with ExitStack() as stack:
        try:
            yield Servers(
                stack.enter_context(running_postgres()),
                stack.enter_context(running_redis()),
                stack.enter_context(running_chroma()),
            )
        except Unstartable as error:
            missing("a server of the team's hub", error)


@contextmanager
def running_stack(
    folder: Path, servers: Servers, *, apis: int = 1, workers: int = 1, **extra: str
) -> Iterator[Stack]:
    """Yields a hub over an empty database; ``extra`` are settings by their names in lower case."""
    name = servers.postgres.create(template(servers.postgres))
    environ = {
        "MEMCTX_DATABASE_URL": app_url(servers.postgres, name),
        "MEMCTX_REDIS_URL": servers.redis.url,
        "MEMCTX_CACHE_SECRET": CACHE_SECRET,
        "MEMCTX_CHROMA_URL": servers.chroma.url,
        **{f"MEMCTX_{setting.upper()}": value for setting, value in extra.items()},
    }
    stack = Stack(folder, servers, environ)
    try:
        for role, count in (("api", apis), ("worker", workers)):
            for _ in range(count):
                stack.start(role)
        yield stack
    finally:
        stack.end()
        servers.postgres.drop(name)
