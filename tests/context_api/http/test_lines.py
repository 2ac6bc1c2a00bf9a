"""Cutting a body into lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_api.http import lines
from memory_core.errors import PayloadTooLarge


async def pieces(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def cut(parts: Iterable[bytes]) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [line async for line in lines.lines_of(pieces(parts))]

    return asyncio.run(collect())


@given(st.lists(st.binary(max_size=12).map(lambda part: part.replace(b"\r", b"\n"))))
def test_lines_do_not_depend_on_how_the_body_came(parts: list[bytes]) -> None:
    expected = [line.strip() for line in b"".join(parts).split(b"\n") if line.strip()]
    assert cut(parts) == expected


def test_a_line_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    assert cut([b"a" * 100, b"\n", b"b" * 100]) == [b"a" * 100, b"b" * 100]
    with pytest.raises(PayloadTooLarge):
        cut([b"a" * 60, b"a" * 60])
