"""Bounds on request bodies, at the level of ASGI."""

from __future__ import annotations

import asyncio
import gzip
import random
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from context_api.http.edge import Edge
from context_api.http.limits import BodyLimits
from context_api.http.metrics import Metrics
from context_api.http.options import MIB, HttpOptions
from context_api.http.problem import on_context_error
from memory_core.errors import ContextError
from tests.context_api.http.asgi import Answered, call

OPTIONS = HttpOptions(max_body_bytes=4 * MIB)
HASTY = replace(OPTIONS, body_idle_timeout=0.2, body_timeout=0.5)
GZIP = ("Content-Encoding", "gzip")
WHOLE = gzip.compress(b"whole", mtime=0)
CHUNKED = ("Transfer-Encoding", "chunked")


async def _count(request: Request) -> Response:
    size = 0
    checksum = 0
    async for piece in request.stream():
        size += len(piece)
        checksum = zlib.crc32(piece, checksum)
    return Response(f"{size} {checksum}")


async def _ignore(request: Request) -> Response:
    return Response("ignored")


def _app(options: HttpOptions = OPTIONS) -> Edge:
    app = Starlette(
        routes=[
            Route("/count", _count, methods=["POST"]),
            Route("/ignore", _ignore, methods=["POST"]),
            Route("/api/v1/import", _count, methods=["POST"]),
        ],
        exception_handlers={ContextError: on_context_error},
    )
    return Edge(BodyLimits(app, options), options, Metrics())


def post(
    *pieces: bytes, path: str = "/count", headers: tuple[tuple[str, str], ...] = (CHUNKED,)
) -> Answered:
    return asyncio.run(call(_app(), "POST", path, headers=headers, body=pieces))


def code(answered: Answered) -> tuple[int, str]:
    return answered.status, answered.json["code"]


def counted(body: bytes) -> bytes:
    return f"{len(body)} {zlib.crc32(body)}".encode()


def test_a_body_within_the_bounds_passes() -> None:
    answered = post(b"a" * MIB, b"b" * (3 * MIB))
    assert answered.body == counted(b"a" * MIB + b"b" * (3 * MIB))
    assert "connection" not in answered.headers


def test_a_declared_body_too_large_is_refused_unread() -> None:
    seen: list[bytes] = []

    def body() -> Iterator[bytes]:
        seen.append(b"")
        yield b""

    length = ("Content-Length", str(OPTIONS.max_body_bytes + 1))
    expect = ("Expect", "100-continue")
    answered = asyncio.run(call(_app(), "POST", "/count", headers=(length, expect), body=body()))
    assert code(answered) == (413, "payload_too_large")
    assert answered.headers["connection"] == "close"
    assert seen == []


def test_a_chunked_body_too_large_is_refused_at_the_limit() -> None:
    answered = post(*[b"x" * MIB] * 5)
    assert code(answered) == (413, "payload_too_large")
    assert answered.headers["connection"] == "close"


def test_a_body_of_any_size_takes_constant_memory() -> None:
    piece = b"x" * (64 * 1024)
    tracemalloc.start()
    answered = post(*[piece] * 3_200)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answered.status == 413
    assert peak < 2 * MIB


def test_an_import_may_be_larger() -> None:
    answered = post(*[b"x" * MIB] * 8, path="/api/v1/import")
    assert answered.body.startswith(f"{8 * MIB} ".encode())


def test_an_answer_before_the_body_closes_the_connection() -> None:
    answered = post(b"x", path="/ignore")
    assert (answered.status, answered.body) == (200, b"ignored")
    assert answered.headers["connection"] == "close"
    assert answered.complete


def _slow(pause: float, times: int) -> AsyncIterator[bytes]:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(times):
            await asyncio.sleep(pause)
            yield b"x"

    return body()


@pytest.mark.parametrize(("pause", "times"), [(30, 1), (0.1, 300)])
def test_a_slow_body_is_refused(pause: float, times: int) -> None:
    """Either it pauses for too long, or it never pauses but takes too long in all."""
    answered = asyncio.run(
        call(_app(HASTY), "POST", "/count", headers=(CHUNKED,), body=_slow(pause, times))
    )
    assert code(answered) == (408, "request_timeout")
    assert answered.headers["connection"] == "close"


@given(
    st.lists(st.binary(max_size=300), max_size=4),
    st.integers(1, 70),
)
def test_gzip_is_unpacked_however_it_is_cut(members: list[bytes], size: int) -> None:
    packed = b"".join(gzip.compress(member) for member in members) or gzip.compress(b"")
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
    answered = post(*pieces, headers=(CHUNKED, GZIP))
    assert answered.body == counted(b"".join(members))


def test_large_gzip_is_unpacked() -> None:
    body = random.Random(1).randbytes(3 * MIB)
    answered = post(gzip.compress(body, 1), headers=(CHUNKED, GZIP))
    assert answered.body == counted(body)


@pytest.mark.parametrize(
    "packed",
    [b"not gzip", WHOLE[:-4], WHOLE + b"rubbish", b"\x1f\x8b"],
)
def test_broken_gzip_is_refused(packed: bytes) -> None:
    assert code(post(packed, headers=(CHUNKED, GZIP))) == (400, "bad_request")


def test_gzip_that_unpacks_too_large_is_refused() -> None:
    packed = gzip.compress(random.Random(1).randbytes(OPTIONS.max_body_bytes) + b"x", 1)
    assert code(post(packed, headers=(CHUNKED, GZIP))) == (413, "payload_too_large")


@pytest.mark.parametrize("path", ["/count", "/api/v1/import"])
def test_gzip_out_of_proportion_is_refused_early(path: str) -> None:
    packed = gzip.compress(b"\x00" * (200 * MIB), 9)
    tracemalloc.start()
    answered = post(packed, path=path, headers=(CHUNKED, GZIP))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code(answered) == (413, "payload_too_large")
    assert peak < 4 * MIB


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "compress"])
def test_other_encodings_are_refused(encoding: str) -> None:
    answered = post(b"x", headers=(CHUNKED, ("Content-Encoding", encoding)))
    assert code(answered) == (415, "unsupported_media_type")
