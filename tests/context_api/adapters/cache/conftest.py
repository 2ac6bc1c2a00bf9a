"""Redis servers for the tests of the cache: one, one of the test's own, a cluster of one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.support.servers.children import start_child
from tests.support.servers.finding import Unstartable, answers, missing, wait_until
from tests.support.servers.fixtures import redis_server
from tests.support.servers.redis import PASSWORD, RedisServer, running_redis

__all__ = ["cluster_url", "own_redis", "redis_server"]


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that the test may stop and kill."""
    try:
        with running_redis() as server:
            if server.process is None:
                pytest.skip("a Redis that was not started here must not be stopped")
            yield server
    except Unstartable as error:
        missing("Redis", error)


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """The URL of a cluster that consists of one node."""
    try:
        with running_redis() as server:
            if server.process is None or server.folder is None:
                pytest.skip("a cluster needs a local redis-server")
            server.stop()
            yield from _cluster(server)
    except Unstartable as error:
        missing("Redis", error)


def _cluster(server: RedisServer) -> Iterator[str]:
    assert server.folder is not None
    command = ["redis-server", "--port", str(server.port), "--bind", "127.0.0.1"]
    command += ["--requirepass", PASSWORD, "--save", "", "--cluster-enabled", "yes"]
    log = server.folder / "cluster-log"
    with log.open("ab") as out:
        server.process = start_child(
            command, cwd=server.folder, stdout=out, stderr=out, process_group=0
        )
    wait_until(lambda: answers(server.port), server.process, log)
    _say(server.port, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    wait_until(
        lambda: "cluster_state:ok" in _say(server.port, "CLUSTER", "INFO"), server.process, log
    )
    yield f"redis+cluster://:{PASSWORD}@127.0.0.1:{server.port}/0"


def _say(port: int, *words: str) -> str:
    command = ["redis-cli", "-p", str(port), "-a", PASSWORD, "--no-auth-warning", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout
