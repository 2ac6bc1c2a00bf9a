"""Reading JSON within bounds."""

from __future__ import annotations

import json
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_api.http.json_body import MAX_DEPTH, MAX_VALUES, parse_json
from memory_core.errors import InvalidJson

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(values)
def test_reads_what_the_standard_library_reads(value: object) -> None:
    body = orjson.dumps(value)
    assert parse_json(body) == json.loads(body)


@given(st.binary(max_size=200))
def test_refuses_or_reads_any_bytes(body: bytes) -> None:
    try:
        value = parse_json(body)
    except InvalidJson:
        return
    assert orjson.loads(orjson.dumps(value)) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e400]",
        b"1" * 5_000,
        b'"\xff\xfe"',
        b'"\xc3"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"a\x00b"',
        b"\x00",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"{'a': 1}",
        b"[1,]",
    ],
)
def test_refuses_what_is_not_json(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        parse_json(body)


@pytest.mark.parametrize(("left", "right"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_bounds_the_nesting(left: bytes, right: bytes) -> None:
    inner = b"" if left == b"[" else b"1"
    assert parse_json(left * MAX_DEPTH + inner + right * MAX_DEPTH)
    with pytest.raises(InvalidJson, match="nested"):
        parse_json(left * (MAX_DEPTH + 1) + inner + right * (MAX_DEPTH + 1))


def test_bounds_the_number_of_values() -> None:
    with pytest.raises(InvalidJson, match="values"):
        parse_json(b"[" + b"0," * MAX_VALUES + b"0]")


def test_text_may_hold_any_number_of_brackets() -> None:
    text = '[{,\\"' * MAX_VALUES
    assert parse_json(orjson.dumps([text])) == [text]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 8_000_000,
        b'"' + b'\\"' * 4_000_000,
        b'"' * 8_000_000,
        b"\\" * 8_000_000,
        b"[[]," * 2_000_000,
        b'{"a":' * 1_600_000,
    ],
    ids=["brackets", "escapes", "quotes", "backslashes", "pairs", "objects"],
)
def test_refuses_hostile_bodies_in_linear_time(body: bytes) -> None:
    started = time.process_time()
    with pytest.raises(InvalidJson):
        parse_json(body)
    assert time.process_time() - started < 5


def test_of_repeated_keys_the_last_counts() -> None:
    assert parse_json(b'{"a": 1, "a": 2}') == {"a": 2}
