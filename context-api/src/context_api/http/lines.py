"""Cuts a body into lines as it arrives, in constant memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

from context_api.http.options import MIB
from memory_core.errors import PayloadTooLarge

MAX_LINE_BYTES = 16 * MIB


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yields the lines of ``pieces`` without their ends; empty ones are left out.

    Raises:
        PayloadTooLarge: a line is longer than 16 MiB.
    """
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for part in whole:
            if line := b"".join([*held, part]).strip():
                yield line
            held, size = [], 0
        held.append(rest)
        size += len(rest)
        if size > MAX_LINE_BYTES:
            raise PayloadTooLarge(f"a line is longer than {MAX_LINE_BYTES} bytes")
    if line := b"".join(held).strip():
        yield line
