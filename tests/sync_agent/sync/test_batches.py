"""What is pushed is cut into requests that a hub takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memory_core.records import Document
from memory_core.sync.protocol import MAX_OPERATIONS
from sync_agent.sync.batches import batches
from sync_agent.wire import encode


def operations(sizes: list[int], gaps: frozenset[int] = frozenset()) -> list[Document]:
    number = 0
    found: list[Document] = []
    for index, size in enumerate(sizes):
        number += 2 if index in gaps else 1
        found.append({"number": number, "body": "ä" * size})
    return found


@given(
    st.lists(st.integers(0, 300), max_size=30),
    st.frozensets(st.integers(0, 29)),
    st.integers(1, 7),
    st.integers(50, 900),
)
def test_nothing_is_lost_and_every_list_is_within_limits(
    sizes: list[int], gaps: frozenset[int], most: int, most_bytes: int
) -> None:
    given_ones = operations(sizes, gaps)
    cut = list(batches(given_ones, most=most, most_bytes=most_bytes))
    assert [one for batch in cut for one in batch] == given_ones
    for batch in cut:
        assert 1 <= len(batch) <= most
        length = len(encode([*batch]))
        assert length <= most_bytes + 1 or len(batch) == 1
        numbers = [int(str(one["number"])) for one in batch]
        assert numbers == list(range(numbers[0], numbers[0] + len(batch)))


def test_a_list_is_as_long_as_it_may_be() -> None:
    cut = list(batches(operations([1] * (MAX_OPERATIONS + 1))))
    assert [len(batch) for batch in cut] == [MAX_OPERATIONS, 1]
    assert list(batches([])) == []
