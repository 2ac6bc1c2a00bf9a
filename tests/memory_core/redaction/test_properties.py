"""What holds for any text."""

from __future__ import annotations

import random
import string

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from memory_core.redaction import LEVELS, redact_text, redact_value
from tests.memory_core.redaction.corpus import PLACED, TOKENS

LEVEL = st.sampled_from(sorted(LEVELS))
SEED = st.integers(0, 2**32)
# Pieces of which texts that tempt the rules are made.
PIECES = (
    *("password", "PASSWORD", "token", "secret", "api_key", "Authorization", "Bearer ", "Basic "),
    *("=", ": ", ":", "@", "://", "<", ">", '"', "'", "\\", "\\n", "\n", " ", "-", "--", "$", "{"),
    *("[REDACTED:", "]", "[REDACTED:email]", "[REDACTED:private_key]", "<private>", "</private>"),
    *("gh" + "p_", "AK" + "IA", "sk-", "eyJ", "-----BEGIN ", "-----END ", "PRIVATE KEY-----"),
    *("4111", "123-45-", "6789", "a@b.co", "+1 555", "curl -u ", "mysql -p", "sig=", "cookie: a="),
    *("A1b2C3d4E5f6G7h8", "Zm9vYmFyYmF6cXV4", "x" * 20, "0123456789abcdef" * 2, "İ", "\0"),
)
TEMPTING = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
TEXT = st.one_of(st.text(max_size=200), TEMPTING)
WORD = st.text(alphabet=string.ascii_lowercase, min_size=2, max_size=9)
PROSE = st.lists(WORD, max_size=40).map(" ".join)


@given(TEXT, LEVEL)
def test_twice_is_once(text: str, level: str) -> None:
    once = redact_text(text, level)
    twice = redact_text(once.text, level)
    assert twice.text == once.text
    assert twice.counts == {}


@given(PROSE, PROSE, st.sampled_from(TOKENS), SEED, st.sampled_from([" ", "\n", '"', "=", ": "]))
def test_a_planted_token_is_gone(
    before: str, after: str, row: tuple[str, object], seed: int, edge: str
) -> None:
    kind, make = row
    secret = make(random.Random(seed))  # type: ignore[operator]
    found = redact_text(f"{before}{edge}{secret} {after}")
    assert secret not in found.text
    assert sum(found.counts.values()) >= 1
    assert kind in found.counts or edge in {"=", ": "}


@given(TEXT, st.sampled_from(TOKENS), SEED, TEXT)
def test_a_token_is_gone_from_any_surroundings(
    before: str, row: tuple[str, object], seed: int, after: str
) -> None:
    secret = row[1](random.Random(seed))  # type: ignore[operator]
    assert secret not in redact_text(f"{before}\n{secret}\n{after}").text


@given(PROSE, st.sampled_from(PLACED), SEED, PROSE)
def test_a_placed_secret_is_gone(
    before: str, row: tuple[tuple[str, ...], object, str], seed: int, after: str
) -> None:
    secret = row[1](random.Random(seed))  # type: ignore[operator]
    found = redact_text(f"{before}\n{row[2].format(secret)}\n{after}")
    assert secret not in found.text


@given(PROSE, LEVEL)
def test_words_stay(text: str, level: str) -> None:
    assert redact_text(text, level).text == text


@given(PROSE, st.sampled_from(TOKENS), SEED, PROSE)
def test_words_around_a_secret_stay(
    before: str, row: tuple[str, object], seed: int, after: str
) -> None:
    secret = row[1](random.Random(seed))  # type: ignore[operator]
    found = redact_text(f"{before} ({secret}) {after}")
    assert found.text.startswith(before)
    assert found.text.endswith(after)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(WORD, st.sampled_from(["password", "token", "name"])), inner),
    ),
    max_leaves=12,
)


@given(JSON, LEVEL)
def test_a_value_keeps_its_shape_and_settles(value: JsonValue, level: str) -> None:
    once, _ = redact_value(value, level)
    assert _shape(once) == _shape(value)
    assert redact_value(once, level) == (once, {})


def _shape(value: JsonValue) -> object:
    match value:
        case dict():
            return [_shape(item) for item in value.values()]
        case list():
            return [_shape(item) for item in value]
        case _:
            return type(value)
