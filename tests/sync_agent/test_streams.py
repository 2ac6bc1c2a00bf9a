"""Lines and server-sent events, however the bytes arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.errors import BrokenAnswer
from sync_agent.streams import ServerEvent, lines, server_events


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(
    st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=8),
    st.lists(st.integers(0, 500)),
)
def test_lines_do_not_depend_on_the_pieces(parts: list[bytes], places: list[int]) -> None:
    data = b"\n".join(parts)
    ended = [part + b"\n" for part in parts]
    assert b"".join(lines(cut(data + b"\n", places))) == data + b"\n"
    assert list(lines(cut(data + b"\n", places))) == (ended or [b"\n"])
    assert b"".join(lines(cut(data, places))) == data


def test_a_line_without_end_is_bounded() -> None:
    with pytest.raises(BrokenAnswer):
        list(lines((b"x" * 10 for _ in range(100)), limit=500))


STREAM = (
    b': ping\n\nid: 1\nevent: session.created\ndata: {"a":\ndata: 1}\n\n'
    b"event: empty\n\nid:2\r\ndata:x\r\n\r\nid: 3\ndata: cut off\n"
)


@given(st.lists(st.integers(0, 500)))
def test_events_do_not_depend_on_the_pieces(places: list[int]) -> None:
    assert list(server_events(cut(STREAM, places))) == [
        ServerEvent("1", "session.created", '{"a":\n1}'),
        ServerEvent("2", "message", "x"),
    ]
