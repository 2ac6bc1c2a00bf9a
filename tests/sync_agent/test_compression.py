"""Compressed bodies: what comes back is what was sent, and no answer can fill the memory."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.compression import PACKED_BYTES, pack_into, unpacked, unpacked_pieces
from sync_agent.errors import BrokenAnswer

GZIP = {"content-encoding": "gzip"}


def test_a_long_body_is_packed_and_said_to_be() -> None:
    content, head = b"the same words again " * 500, dict[str, str]()
    packed = pack_into(head, content)
    assert packed is not None
    assert len(packed) < len(content) / 10
    assert head == {"Accept-Encoding": "gzip", "Content-Encoding": "gzip"}
    assert gzip.decompress(packed) == content


@pytest.mark.parametrize("content", [None, b"", b"x" * (PACKED_BYTES - 1)])
def test_a_short_body_goes_as_it_is(content: bytes | None) -> None:
    head: dict[str, str] = {}
    assert pack_into(head, content) == content
    assert head == {"Accept-Encoding": "gzip"}


@given(st.binary(max_size=5_000), st.integers(1, 97))
def test_pieces_of_any_size_give_the_whole(content: bytes, size: int) -> None:
    packed = gzip.compress(content)
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(unpacked_pieces(pieces, GZIP, 5_000)) == content
    assert unpacked(packed, GZIP, 5_000) == content


def test_a_body_that_is_not_packed_passes() -> None:
    assert unpacked(b"{}", {}, 10) == b"{}"
    assert unpacked(b"{}", {"content-encoding": "identity"}, 10) == b"{}"
    assert unpacked(b"", GZIP, 10) == b""


@pytest.mark.parametrize("headers", [{}, GZIP])
def test_more_than_the_limit_is_refused(headers: dict[str, str]) -> None:
    content = gzip.compress(bytes(10_001)) if headers else bytes(10_001)
    with pytest.raises(BrokenAnswer, match="longer than 10000"):
        unpacked(content, headers, 10_000)


def test_what_unpacks_to_very_much_is_never_held() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(BrokenAnswer, match="longer than 10000"):
            unpacked(bomb, GZIP, 10_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("content", "headers", "reason"),
    [
        (gzip.compress(b"x" * 5_000, mtime=0)[:-9], GZIP, "ended before"),
        (b"no gzip at all", GZIP, "not the gzip"),
        (b"x", {"content-encoding": "br"}, "not asked for"),
    ],
)
def test_what_cannot_be_unpacked_is_said(
    content: bytes, headers: dict[str, str], reason: str
) -> None:
    with pytest.raises(BrokenAnswer, match=reason):
        unpacked(content, headers, 10_000)
