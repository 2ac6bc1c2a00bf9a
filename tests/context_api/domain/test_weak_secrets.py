"""A hub that others can reach does not start with a secret that anybody could guess."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_api.domain.weak_secrets import refuse_weak

GOOD = "mctx_0123456789ab_Jx0qT3v9yLw2nR7cKd8mZs5pHf1aUe6gBi4oXtVkWjQ"
WEAK = [
    "changeme", "change-me", "CHANGE_ME", "changeme123", "password", "Password1!", "secret",
    "my-secret", "postgres", "postgres123", "redis", "admin", "test", "123456", "letmein",
    "mctx_0123456789ab_" + "k" * 43, "mctx_changeme_changemechangemechangeme",
    "mctx_0123456789ab_your-secret-key-goes", "abcabcabcabcabcabcabc", "Kq7x2", "x" * 64,
    "postgresql+asyncpg://memctx_app:changeme@postgres:5432/memctx",
    "postgresql+asyncpg://postgres:postgres@localhost/memctx",
    "redis://:password@redis:6379/0", "redis://hub:foobared@redis:6379/0",
]  # fmt: skip


@pytest.mark.parametrize("value", WEAK)
def test_a_weak_secret_is_refused_without_showing_it(value: str) -> None:
    reason = refuse_weak({"MEMCTX_API_KEY": GOOD, "MEMCTX_SOMETHING": value}, embedded=False)
    assert reason is not None
    assert reason.startswith("MEMCTX_SOMETHING is ") or "repeats" in reason
    assert "setup.sh" in reason
    assert value not in reason
    assert "\n" not in reason


@pytest.mark.parametrize("value", WEAK)
def test_an_embedded_hub_may_have_any(value: str) -> None:
    assert refuse_weak({"MEMCTX_API_KEY": value}, embedded=True) is None


@pytest.mark.parametrize(
    "value",
    [
        GOOD, None, "", "http://chroma:8000", "postgresql+asyncpg://memctx_app@/memctx",
        "postgresql+asyncpg://memctx_app:q7Xw9zR2-kV4mN8tL0pB6cD@postgres:5432/memctx",
        "rediss://hub:f%2FGh7sK2%40qLm9zXw4Rt@redis:6380/0",
    ],
)  # fmt: skip
def test_a_strong_or_missing_one_is_not(value: str | None) -> None:
    assert refuse_weak({"MEMCTX_API_KEY": value}, embedded=False) is None


@given(st.integers(16, 64))
def test_what_setup_makes_is_strong(size: int) -> None:
    key = f"mctx_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
    values = {"a": key, "b": secrets.token_hex(size), "c": secrets.token_urlsafe(size)}
    assert refuse_weak(values, embedded=False) is None
