"""Redaction of JSON values."""

from __future__ import annotations

import json
import random

import pytest
from pydantic import JsonValue

from memory_core.errors import InvalidInput
from memory_core.redaction import redact_value
from tests.memory_core.redaction.corpus import chars, person_made

RNG = random.Random(6)
GITHUB = "gh" + "p_" + chars(RNG, 36)
TOKEN = chars(RNG, 40)
WORD = person_made(RNG)


def test_a_key_is_context_for_its_value() -> None:
    value: JsonValue = {"user": "app", "password": WORD, "port": 5432}
    expected = {"user": "app", "password": "[REDACTED:password]", "port": 5432}
    assert redact_value(value, "TEAM") == (expected, {"password": 1})


def mark(kind: str) -> str:
    return f"[REDACTED:{kind}]"


@pytest.mark.parametrize(
    ("secret", "template", "kind"),
    [
        (GITHUB, {"a": [{"b": "x {} y"}]}, "github_token"),
        (GITHUB, {"password": "{}"}, "github_token"),
        (GITHUB, {"{}": 1}, "github_token"),
        (WORD, {"passwords": None, "password": ["{}"]}, "password"),
        (WORD, {"name": "DB_PASSWORD", "value": "{}"}, "password"),
        (WORD, "password={}", "password"),
        (TOKEN, ["deploy", "--token", "{}"], "token"),
        (TOKEN, {"Authorization": "Bearer {}"}, "authorization_header"),
        (TOKEN, {"authorization": "token {}"}, "authorization_header"),
        (TOKEN, {"Cookie": "a=b; sid={}"}, "cookie"),
        (TOKEN, {"heroku_api_key": "{}"}, "heroku_api_key"),
    ],
)
def test_values_are_walked(secret: str, template: JsonValue, kind: str) -> None:
    form = json.dumps(template)
    given = json.loads(form.replace("{}", secret))
    expected = json.loads(form.replace("{}", mark(kind)))
    assert redact_value(given, "TEAM") == (expected, {kind: 1})


@pytest.mark.parametrize(
    "value",
    [
        {"password": None, "token": 7, "secret": True, "api_key": 1.5, "auth": {}, "tokens": []},
        {"type": "password", "label": "Password", "password": "string"},
        {"password_field": "abc123", "max_tokens": "4096", "public_key": TOKEN},
        {"name": "LOG_LEVEL", "value": "debug"},
        ["--verbose", "--out", "dist/a1b2"],
        None,
        3,
        "plain",
    ],
)
def test_the_rest_stays(value: JsonValue) -> None:
    assert redact_value(value, "PUBLIC") == (value, {})


def test_the_value_given_is_not_changed() -> None:
    value: JsonValue = {"a": [GITHUB]}
    redact_value(value, "TEAM")
    assert value == {"a": [GITHUB]}


def test_keys_that_become_the_same_are_numbered() -> None:
    other = "gh" + "p_" + chars(RNG, 36)
    result, counts = redact_value({GITHUB: 1, other: 2}, "TEAM")
    assert result == {"[REDACTED:github_token]": 1, "[REDACTED:github_token] (2)": 2}
    assert counts == {"github_token": 2}


def test_twice_is_once() -> None:
    value: JsonValue = {"password": WORD, "list": ["--token", TOKEN, {GITHUB: f"a {GITHUB}"}]}
    once, _ = redact_value(value, "PUBLIC")
    assert redact_value(once, "PUBLIC") == (once, {})


def test_a_value_nested_too_deep_is_refused() -> None:
    value: JsonValue = "x"
    for _ in range(300):
        value = [value]
    with pytest.raises(InvalidInput):
        redact_value(value, "TEAM")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(InvalidInput):
        redact_value({}, "ALL")
