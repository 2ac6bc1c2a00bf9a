"""No client of ours speaks to who cannot prove its name, and none gives a secret away first."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from context_api.adapters.cache.redis_link import RedisLink, Unreachable
from context_api.adapters.probing import probe_redis
from context_api.adapters.sql.dialect import open_database
from context_api.adapters.sql.libpq import libpq_url
from context_api.adapters.vector.chroma import ChromaVectors
from memory_core.errors import ContextError
from memory_core.tls import client_context
from sync_agent.channel import Channel, Retry
from sync_agent.url import parse_url
from tests.support.certificates import Authority, Certificate
from tests.support.hub import KEY

SECRET = "Jx0qT3v9yLw2nR7c"
SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
BAD = ["self-signed", "expired", "wrong-host"]


@dataclass
class Seen:
    """What a server saw: in the clear, and after a handshake that its client completed."""

    clear: bytes = b""
    secured: bytes = b""
    refused: int = 0
    done: threading.Event = field(default_factory=threading.Event)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def server(
    certificate: Certificate, newest: ssl.TLSVersion | None = None
) -> Iterator[tuple[int, Seen]]:
    """Takes connections, remembers what came, and says nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    if newest is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
    seen = Seen()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    plain, _ = listening.accept()
                    with plain:
                        _meet(plain, context, seen)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1], seen
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(20)


def _meet(plain: socket.socket, context: ssl.SSLContext, seen: Seen) -> None:
    plain.settimeout(10)
    first = plain.recv(8, socket.MSG_PEEK)
    if first == SSL_REQUEST:
        plain.recv(8)
        plain.sendall(b"S")
    elif first[:1] != b"\x16":
        seen.clear += plain.recv(4096)
        return
    try:
        with context.wrap_socket(plain, server_side=True) as secured:
            seen.secured += secured.recv(4096)
            seen.done.set()
    except OSError:
        seen.refused += 1


def _hub(port: int, ca: Path) -> None:
    url = parse_url(f"https://127.0.0.1:{port}")
    with contextlib.closing(Channel(url, KEY, retry=Retry(budget=0.0), ca_file=ca)) as channel:
        channel.call("GET", "/api/v1/projects")


def _chroma(port: int, ca: Path) -> None:
    index = ChromaVectors(f"https://localhost:{port}", token=SECRET)
    with contextlib.closing(index):
        index.check()


def _redis(port: int, ca: Path) -> None:
    async def ping() -> None:
        url = f"rediss://memctx:{SECRET}@localhost:{port}/0?ssl_ca_certs={ca}"
        link = RedisLink(url, budget_s=10.0)
        try:
            await link.run(lambda client: client.ping())
        finally:
            await link.close()

    asyncio.run(ping())


def _redis_probe(port: int, ca: Path) -> None:
    found = probe_redis(f"rediss://memctx:{SECRET}@localhost:{port}/0?ssl_ca_certs={ca}")
    assert SECRET not in found.detail
    if found.mend:
        raise OSError(found.detail)


def _database_url(port: int, ca: Path) -> str:
    given = f"ssl=verify-full&sslrootcert={ca}"
    return f"postgresql+asyncpg://memctx_app:{SECRET}@localhost:{port}/memctx?{given}"


def _asyncpg(port: int, ca: Path) -> None:
    async def check() -> None:
        database = open_database(_database_url(port, ca))
        try:
            await database.check()
        finally:
            await database.dispose()

    asyncio.run(check())


def _psycopg(port: int, ca: Path) -> None:
    psycopg.connect(libpq_url(_database_url(port, ca)), connect_timeout=10).close()


Client = Callable[[int, Path], None]
CLIENTS: list[Client] = [_hub, _chroma, _redis, _redis_probe, _asyncpg, _psycopg]
FAILURES = (ContextError, OSError, Unreachable, psycopg.Error, TimeoutError)


def met(
    client: Client, authority: Authority, kind: str, monkeypatch: pytest.MonkeyPatch,
    newest: ssl.TLSVersion | None = None,
) -> Seen:  # fmt: skip
    """Returns what a server with such a certificate saw of a client; no server answers."""
    # Where there is no setting of its own, OpenSSL's variable names an authority.
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with server(authority.signed(kind), newest) as (port, seen):
        with pytest.raises(FAILURES):
            client(port, authority.file)
        return seen


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__.strip("_"))
def test_a_client_speaks_to_a_server_that_proves_its_name(
    client: Client, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = met(client, authority, "good", monkeypatch)
    assert seen.done.wait(10)
    assert seen.secured
    assert seen.clear == b""


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__.strip("_"))
def test_a_client_refuses_one_that_does_not(
    client: Client, kind: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = met(client, authority, kind, monkeypatch)
    # libpq compares names when the handshake is over, still before it sends anything.
    assert seen.refused > 0 or seen.done.is_set()
    assert seen.clear == seen.secured == b""


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__.strip("_"))
def test_a_client_refuses_a_version_that_is_too_old(
    client: Client, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = met(client, authority, "good", monkeypatch, ssl.TLSVersion.TLSv1_1)
    assert seen.refused > 0
    assert seen.clear == seen.secured == b""


def test_the_least_version_does_not_depend_on_how_python_was_built() -> None:
    context = client_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
