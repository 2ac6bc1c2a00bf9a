"""The token estimate: cheap, bounded, and never falling as a text grows."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from memory_core.budget import estimate_tokens


def test_known_sizes() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("hello world") == 3
    assert estimate_tokens("def f(x): return x") == 9
    assert estimate_tokens("日本語") == 4
    assert estimate_tokens("🙂") >= 3


@given(st.text(max_size=500), st.text(max_size=500))
def test_a_longer_text_costs_no_less_and_a_joined_one_no_more(one: str, other: str) -> None:
    joined = estimate_tokens(f"{one}\n{other}")
    assert joined >= estimate_tokens(one)
    assert joined <= estimate_tokens(one) + estimate_tokens(other) + 2


def test_a_megabyte_takes_little_time() -> None:
    started = time.process_time()
    assert estimate_tokens("some words (and marks) here. " * 35_000) > 200_000
    assert time.process_time() - started < 2
