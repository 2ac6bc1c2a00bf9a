"""Asks each server that a team's hub stands on whether it is there and as it should be."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from context_api.adapters.sql.dialect import open_database
from context_api.adapters.sql.schema import REVISION, check_revision
from context_api.adapters.vector.chroma import ChromaVectors
from context_api.application.vectors import RESTART_CHROMA, CannotWrite
from memory_core.errors import ContextError
from memory_core.tls import client_context

PATIENCE_S = 5.0
REDIS_PORT = 6379
_ANSWER_BYTES = 512

# CVE-2025-49844 lets a script run code of its author's. It is mended from these releases on, by
# the branch; Debian mended it in the 7.0.15 that it has, which says so in the package alone.
REDIS_MENDED = {(6, 2): 20, (7, 0): 15, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2}
_REDIS = re.compile(rb"\r\nredis\r\n\$7\r\nversion\r\n\$\d+\r\n(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Probe:
    """What one server is found to be; ``mend`` is empty where nothing is wrong.

    ``works`` says whether the hub can use the server, be something wrong with it or not.
    """

    name: str
    detail: str
    mend: str = ""
    works: bool = False


async def probe_database(url: str) -> Probe:
    """Asks the database for its schema and for settings that keep what it acknowledges."""
    where = _where(url)
    database = open_database(url)
    try:
        async with asyncio.timeout(PATIENCE_S):
            revision = await check_revision(database)
            await database.check()
    except ContextError as error:
        return Probe("database", f"{where}: {error.detail}", _mend_database(error.detail))
    except TimeoutError:
        return Probe("database", f"{where} does not answer", _mend_database(""))
    finally:
        await database.dispose()
    return Probe("database", f"{where} answers, schema {revision}")


def _mend_database(detail: str) -> str:
    if "newer release" in detail:
        return "install the release that made it, or restore a backup"
    if REVISION in detail and "revision" in detail:
        return "memctx migrate"
    return "start PostgreSQL and check MEMCTX_DATABASE_URL: docker-compose up -d postgres"


def probe_chroma(url: str, token: str | None) -> Probe:
    """Stores a vector in Chroma and asks for it, which alone shows that the index works."""
    index = ChromaVectors(url, token=token)
    try:
        index.check()
    except CannotWrite as error:
        return Probe("Chroma", f"{_where(url)}: {error.detail}", RESTART_CHROMA)
    except ContextError as error:
        mend = "start Chroma and check MEMCTX_CHROMA_URL: docker-compose up -d chroma"
        return Probe("Chroma", f"{_where(url)}: {error.detail}", mend)
    finally:
        index.close()
    # Every release says 1.0.0 when it is asked which it is.
    detail = f"{_where(url)} stores and finds; see yourself that it is 1.5.9 or newer"
    return Probe("Chroma", detail)


def probe_redis(url: str) -> Probe:
    """Signs in to Redis and asks whether it is there."""
    parts = urlsplit(url)
    mend = "start Redis and check MEMCTX_REDIS_URL: docker-compose up -d redis"
    version = b""
    try:
        with _linked(parts) as link:
            answer = _ping(link, parts.username, parts.password)
            if answer == b"+PONG":
                # Allowed to every user, and the only way to learn it without INFO.
                version = _asked(link, "HELLO")
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        return Probe("Redis", f"{_where(url)}: {reason}", mend)
    if answer != b"+PONG":
        word = answer[1:].decode("ascii", "replace").partition(" ")[0]
        return Probe("Redis", f"{_where(url)} refuses: {word or 'no answer'}", mend)
    return judge_redis(_where(url), version)


def judge_redis(where: str, said: bytes) -> Probe:
    """Returns what a Redis is that answers, by what it says to HELLO.

    A server of another name that speaks its language, such as Valkey, counts differently.
    """
    found = _REDIS.search(said)
    if found is None:
        return Probe("Redis", f"{where} answers", works=True)
    major, minor, patch = (int(part) for part in found.groups())
    detail = f"{where} answers, Redis {major}.{minor}.{patch}"
    newest = max(REDIS_MENDED)
    mended = REDIS_MENDED.get((major, minor))
    if (major, minor) == (7, 0):
        detail += ", a distribution's: its package says whether CVE-2025-49844 is mended"
    if (major, minor) > newest or (mended is not None and patch >= mended):
        return Probe("Redis", detail, works=True)
    detail = f"{where} answers, Redis {major}.{minor}.{patch}, which has CVE-2025-49844"
    mend = "install a release of Redis that is still mended: docker-compose pull redis"
    return Probe("Redis", detail, mend, works=True)


@contextlib.contextmanager
def _linked(parts: SplitResult) -> Iterator[socket.socket]:
    host, port = parts.hostname or "localhost", parts.port or REDIS_PORT
    with socket.create_connection((host, port), PATIENCE_S) as plain:
        if not parts.scheme.startswith("rediss"):
            yield plain
            return
        authorities = parse_qs(parts.query).get("ssl_ca_certs", [None])
        context = client_context(authorities[0])
        with context.wrap_socket(plain, server_hostname=host) as secured:
            yield secured


def _ping(link: socket.socket, user: str | None, password: str | None) -> bytes:
    """Returns the line that answers AUTH if that fails, else the one that answers PING."""
    if password is not None:
        names = [unquote(user)] if user else []
        answer = _asked(link, "AUTH", *names, unquote(password))
        if answer != b"+OK":
            return answer
    return _asked(link, "PING")


def _asked(link: socket.socket, *words: str) -> bytes:
    encoded = [word.encode() for word in words]
    frames = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
    link.sendall(b"*%d\r\n%b" % (len(encoded), frames))
    answer = b""
    while not answer.endswith(b"\r\n") and len(answer) < _ANSWER_BYTES:
        piece = link.recv(_ANSWER_BYTES)
        if not piece:
            break
        answer += piece
    return answer.rstrip(b"\r\n")


def _where(url: str) -> str:
    """Returns the address in a URL, never its password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'a local socket'}{f':{parts.port}' if parts.port else ''}"
