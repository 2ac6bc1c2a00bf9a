"""Bodies compressed with gzip on their way to and from the hub."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping

from sync_agent.errors import BrokenAnswer

PACKED_BYTES = 1_024
"""Bodies shorter than this fit one packet as they are."""

_GZIP = 31
_LEVEL = 6


def pack_into(head: dict[str, str], content: bytes | None) -> bytes | None:
    """Returns a body compressed, if that is worth it; ``head`` says so, and what is understood."""
    head["Accept-Encoding"] = "gzip"
    if content is None or len(content) < PACKED_BYTES:
        return content
    head["Content-Encoding"] = "gzip"
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return packer.compress(content) + packer.flush()


def unpacked(content: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """Returns a whole body as its sender wrote it.

    Raises:
        BrokenAnswer: it is longer than ``limit`` bytes, not whole, or packed in another way.
    """
    return b"".join(unpacked_pieces([content], headers, limit)) if content else content


def unpacked_pieces(
    pieces: Iterable[bytes], headers: Mapping[str, str], limit: int
) -> Iterator[bytes]:
    """Yields a body that arrives in pieces as its sender wrote it.

    Raises:
        BrokenAnswer: while reading, as `unpacked` does.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"identity", ""}:
        yield from _within(pieces, limit)
    elif encoding in {"gzip", "x-gzip"}:
        yield from _within(_gunzip(pieces, limit), limit)
    else:
        raise BrokenAnswer("the hub's answer is packed in a way that was not asked for")


def _within(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    given = 0
    for piece in pieces:
        given += len(piece)
        if given > limit:
            raise BrokenAnswer(f"the hub's answer is longer than {limit} bytes")
        yield piece


def _gunzip(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP)
    try:
        for piece in pieces:
            # One byte more than is allowed is enough to know that there is too much.
            yield member.decompress(piece, limit + 1)
            if member.unconsumed_tail:
                raise BrokenAnswer(f"the hub's answer is longer than {limit} bytes")
    except zlib.error as error:
        raise BrokenAnswer("the hub's answer is not the gzip that it says it is") from error
    if not member.eof:
        raise BrokenAnswer("the hub's answer ended before it was complete")
