"""What the doctor finds of the servers that a team's hub stands on."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from context_api.adapters.probing import (
    Probe,
    judge_redis,
    probe_chroma,
    probe_database,
    probe_redis,
)
from context_migration import runner
from tests.support.databases import OnServer, app_url, create_owned, owner_url
from tests.support.hub import free_port
from tests.support.servers.chroma import ChromaServer
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.redis import RedisServer

SECRET = "Jx0qT3v9yLw2nR7c"


def database(url: str) -> Probe:
    return asyncio.run(probe_database(url))


def test_a_database_that_is_as_it_should_be(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    databases = OnServer(postgres_server)
    found = database(databases.url(tmp_path_factory.mktemp("hub")))
    assert found.mend == "", found.detail
    assert runner.head() in found.detail
    databases.drop()


def test_a_schema_that_is_missing_or_too_new(postgres_server: PostgresServer) -> None:
    name = create_owned(postgres_server)
    empty = database(app_url(postgres_server, name))
    assert empty.mend == "memctx migrate"
    runner.upgrade(owner_url(postgres_server, name))
    with postgres_server.connect(name) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    newer = database(app_url(postgres_server, name))
    assert "install the release" in newer.mend
    postgres_server.drop(name)


def test_a_role_that_passes_the_walls(postgres_server: PostgresServer) -> None:
    """The owner of the tables could read every tenant's rows."""
    name = create_owned(postgres_server)
    runner.upgrade(owner_url(postgres_server, name))
    assert database(owner_url(postgres_server, name)).mend != ""
    postgres_server.drop(name)


def test_a_database_that_is_away_or_refuses(postgres_server: PostgresServer) -> None:
    port = free_port()
    away = database(f"postgresql+asyncpg://memctx_app:{SECRET}@127.0.0.1:{port}/memctx")
    address = urlsplit(app_url(postgres_server, "nothing_of_this_name"))
    host = address.netloc.rpartition("@")[2]
    refused = database(f"postgresql+asyncpg://nobody:{SECRET}@{host}/nothing_of_this_name")
    for found in (away, refused):
        assert "MEMCTX_DATABASE_URL" in found.mend
        assert SECRET not in found.detail + found.mend


def test_chroma(chroma_server: ChromaServer) -> None:
    assert probe_chroma(chroma_server.url, None).mend == ""
    away = probe_chroma(f"http://127.0.0.1:{free_port()}", SECRET)
    assert "MEMCTX_CHROMA_URL" in away.mend
    assert SECRET not in away.detail


def test_redis(redis_server: RedisServer) -> None:
    found = probe_redis(redis_server.url)
    assert found.works
    assert re.search(r"answers, Redis \d+\.\d+\.\d+", found.detail), found.detail
    parts = urlsplit(redis_server.url)
    for userinfo in ("", f":{SECRET}@", f"nobody:{SECRET}@"):
        wrong = probe_redis(f"redis://{userinfo}{parts.hostname}:{parts.port}/0")
        assert "MEMCTX_REDIS_URL" in wrong.mend
        assert SECRET not in wrong.detail
        assert "refuses" in wrong.detail
    assert "MEMCTX_REDIS_URL" in probe_redis(f"redis://127.0.0.1:{free_port()}/0").mend


def said(version: str, name: str = "redis") -> bytes:
    words = ("server", name, "version", version, "proto")
    return b"*14\r\n" + b"".join(f"${len(word)}\r\n{word}\r\n".encode() for word in words)


@pytest.mark.parametrize(
    ("version", "is_mended"),
    [
        ("6.2.19", False), ("6.2.20", True), ("7.0.14", False), ("7.0.15", True),
        ("7.2.10", False), ("7.2.11", True), ("7.4.6", True), ("8.0.3", False), ("8.2.1", False),
        ("8.2.2", True), ("8.4.0", True), ("5.0.14", False), ("10.0.0", True),
    ],
)  # fmt: skip
def test_a_redis_that_is_known_to_be_open_is_told(version: str, is_mended: bool) -> None:
    found = judge_redis("cache", said(version))
    assert found.works
    assert f"Redis {version}" in found.detail
    assert (found.mend == "") is is_mended
    assert ("which has CVE-2025-49844" in found.detail) is not is_mended


@pytest.mark.parametrize("answer", [said("7.2.4", "valkey"), b"-ERR unknown command", b""])
def test_a_server_that_does_not_tell_its_release_is_not_judged(answer: bytes) -> None:
    found = judge_redis("cache", answer)
    assert (found.mend, found.works) == ("", True)


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Serves one connection with fixed bytes, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-LOADING x\r\n", b"x" * 100_000]
)
def test_what_answers_is_no_redis(answer: bytes) -> None:
    with answering(answer) as port:
        found = probe_redis(f"redis://127.0.0.1:{port}/0")
    assert found.mend
    assert len(found.detail) < 1000
