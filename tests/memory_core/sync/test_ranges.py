"""Ranges cover a log without gaps, and their digests find what differs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memory_core.canonical import digest
from memory_core.sync.ranges import FANOUT, RangeDigest, range_digest, split


@given(st.integers(1, 10**9), st.integers(0, 10**6), st.integers(2, 40))
def test_the_parts_cover_the_range_once(low: int, size: int, fanout: int) -> None:
    parts = split(low, low + size - 1, fanout)
    assert len(parts) == min(size, fanout)
    edge = low
    for start, stop in parts:
        assert start == edge <= stop
        edge = stop + 1
    assert edge == low + size


@given(st.integers(1, 3_000), st.sets(st.integers(1, 3_000), max_size=4))
def test_differences_are_found_with_few_digests(size: int, places: set[int]) -> None:
    wrong = {place for place in places if place <= size}
    ours = {seq: digest(seq.to_bytes(8, "big")) for seq in range(1, size + 1)}
    theirs = {seq: digest(value) if seq in wrong else value for seq, value in ours.items()}
    asked, found, ranges = 0, set(), [(1, size)]
    while ranges:
        low, high = ranges.pop()
        asked += 1
        if range_digest(ours[s] for s in range(low, high + 1)) == range_digest(
            theirs[s] for s in range(low, high + 1)
        ):
            continue
        if low == high:
            found.add(low)
        else:
            ranges += split(low, high)
    assert found == wrong
    assert asked <= 1 + len(wrong) * FANOUT * 3


@given(st.lists(st.lists(st.binary(min_size=32, max_size=32))))
def test_a_digest_made_in_parts_is_that_of_the_whole(parts: list[list[bytes]]) -> None:
    made = RangeDigest()
    for part in parts:
        made.add(part)
    assert made.value() == range_digest(digest for part in parts for digest in part)
