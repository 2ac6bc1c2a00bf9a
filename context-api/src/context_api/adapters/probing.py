"""Asks each server that a team's hub stands on whether it is there and as it should be."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from context_api.adapters.sql.dialect import open_database
from context_api.adapters.sql.schema import REVISION, check_revision
from context_api.adapters.vector.chroma import ChromaVectors
from context_api.application.vectors import RESTART_CHROMA, CannotWrite
from memory_core.errors import ContextError

PATIENCE_S = 5.0
REDIS_PORT = 6379
_ANSWER_BYTES = 512


@dataclass(frozen=True, slots=True)
class Probe:
    """What one server is found to be; ``mend`` is empty where nothing is wrong."""

    name: str
    detail: str
    mend: str = ""


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
    return Probe("Chroma", f"{_where(url)} stores and finds")


def probe_redis(url: str) -> Probe:
    """Signs in to Redis and asks whether it is there."""
    parts = urlsplit(url)
    mend = "start Redis and check MEMCTX_REDIS_URL: docker-compose up -d redis"
    host, port = parts.hostname or "localhost", parts.port or REDIS_PORT
    try:
        with socket.create_connection((host, port), PATIENCE_S) as plain:
            if parts.scheme.startswith("rediss"):
                context = ssl.create_default_context()
                with context.wrap_socket(plain, server_hostname=host) as secured:
                    answer = _ping(secured, parts.username, parts.password)
            else:
                answer = _ping(plain, parts.username, parts.password)
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        return Probe("Redis", f"{_where(url)}: {reason}", mend)
    if answer != b"+PONG":
        word = answer[1:].decode("ascii", "replace").partition(" ")[0]
        return Probe("Redis", f"{_where(url)} refuses: {word or 'no answer'}", mend)
    return Probe("Redis", f"{_where(url)} answers")


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
