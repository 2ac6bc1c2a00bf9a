"""Redis as `infrastructure/redis/start.sh` sets it up, without a container."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from context_api.adapters.probing import probe_redis
from tests.support.servers.finding import answers, free_port, wait_until

ROOT = Path(__file__).parents[2]
PASSWORD = "Jx0qT3v9yLw2nR7cAbE4"
ALLOWED = [
    ("SET", "memctx:a", "1"), ("GET", "memctx:a"), ("INCRBY", "memctx:n", "1"),
    ("DECRBY", "memctx:n", "1"), ("EXPIRE", "memctx:n", "9"), ("PING",), ("SELECT", "0"),
]  # fmt: skip
FORBIDDEN = [
    ("GET", "other"), ("SET", "other", "1"), ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"),
    ("SCAN", "0"),
    ("CONFIG", "GET", "dir"), ("CONFIG", "SET", "dir", "/"), ("EVAL", "return 1", "0"),
    ("EVALSHA", "a" * 40, "0"), ("FCALL", "f", "0"), ("FUNCTION", "LIST"), ("SCRIPT", "FLUSH"),
    ("ACL", "LIST"), ("CLIENT", "LIST"), ("MODULE", "LIST"), ("SAVE",),
    ("SHUTDOWN", "NOSAVE"), ("REPLICAOF", "127.0.0.1", "1"), ("MIGRATE", "h", "1", "k", "0", "1"),
    ("DUMP", "memctx:a"), ("DEL", "memctx:a"), ("SUBSCRIBE", "c"), ("MONITOR",), ("INFO",),
]  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The script's server, its files below a folder and on a port of its own."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    script = (ROOT / "infrastructure/redis/start.sh").read_text()
    moved = script.replace("/tmp/users.acl", f"{folder}/users.acl")
    moved = moved.replace("/etc/memctx/redis.conf", str(ROOT / "infrastructure/redis/redis.conf"))
    assert moved != script
    moved += f" --bind 127.0.0.1 --port {port} --dir {folder}\n"
    moved = moved.replace("users.acl\n --bind", "users.acl --bind")
    environ = {"PATH": os.environ["PATH"], "REDIS_PASSWORD": PASSWORD}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["sh", "-c", moved], env=environ, stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(port), process, folder / "log")
        assert PASSWORD not in (folder / "users.acl").read_text()
        yield f"redis://memctx:{PASSWORD}@127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait(20)


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url, protocol=2, driver_info=None) as one:
        yield one


@pytest.mark.parametrize("command", ALLOWED, ids=lambda command: command[0])
def test_the_hubs_user_may_do_what_the_hub_does(
    client: redis.Redis, command: tuple[str, ...]
) -> None:
    client.execute_command(*command)


@pytest.mark.parametrize("command", FORBIDDEN, ids=" ".join)
def test_and_nothing_else(client: redis.Redis, command: tuple[str, ...]) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)


def test_without_a_password_nothing_is_answered(url: str) -> None:
    nobody = redis.Redis.from_url(re.sub("//.*@", "//", url))
    with nobody, pytest.raises(redis.exceptions.AuthenticationError):
        nobody.ping()


def test_its_user_still_learns_which_release_it_is(url: str) -> None:
    found = probe_redis(url)
    assert found.works
    assert re.search(r"Redis \d+\.\d+\.\d+", found.detail)
