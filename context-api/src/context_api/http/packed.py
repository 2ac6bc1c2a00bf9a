"""Answers that are sent compressed to those who read that."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping

import orjson
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response

LEVEL = 5
SMALL_BYTES = 1_024
LARGE_BYTES = 64 * 1_024


async def packed(request: Request, document: Mapping[str, JsonValue]) -> Response:
    """Returns a JSON answer, as gzip if the client says that it reads it."""
    return await packed_bytes(request, orjson.dumps(document), "application/json")


async def packed_bytes(request: Request, body: bytes, media_type: str) -> Response:
    """Returns an answer of bytes, as gzip if the client says that it reads it."""
    headers = {"Vary": "Accept-Encoding"}
    if len(body) >= SMALL_BYTES and accepts_gzip(request.headers.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        body = await (
            asyncio.to_thread(_gzip, body) if len(body) >= LARGE_BYTES else _at_once(body)
        )
    return Response(body, headers=headers, media_type=media_type)


def accepts_gzip(accepted: str) -> bool:
    """Says whether an Accept-Encoding header names gzip and does not refuse it."""
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in {"gzip", "x-gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


async def _at_once(body: bytes) -> bytes:
    return _gzip(body)


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)
