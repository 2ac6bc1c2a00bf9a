"""The tables of rules are in order, and the documentation says what they find."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memory_core.redaction import KINDS, LEVELS, Category
from memory_core.redaction.commands import COMMAND_RULES
from memory_core.redaction.context import CONTEXT_RULES
from memory_core.redaction.engine import find_tokens
from memory_core.redaction.names import meaning_of
from memory_core.redaction.rules import Rule, subject_of

PAGE = Path(__file__).parents[3] / "docs" / "redaction.md"
NAMES = {kind.name for kind in KINDS}


def test_type_names_are_unique() -> None:
    assert len(NAMES) == len(KINDS)


def test_every_rule_gives_a_known_type() -> None:
    kinds = [rule.kind for rule in (*find_tokens.rules, *CONTEXT_RULES, *COMMAND_RULES)]
    assert set(kinds) <= NAMES


@pytest.mark.parametrize(
    "rule", find_tokens.rules, ids=lambda rule: f"{rule.kind}-{rule.literals[0]}"
)
def test_a_literal_is_seen_where_it_is_looked_for(rule: Rule) -> None:
    """A rule that looks in long runs only must have a literal that such a run can hold."""
    for literal in rule.literals:
        assert rule.anywhere or literal in subject_of("a" * 20 + literal + "a" * 20).runs


def test_the_documentation_lists_every_type_with_its_category() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|$", text, re.MULTILINE)
    assert dict(rows) == {kind.name: kind.title for kind in KINDS}
    assert len(rows) == len(KINDS)


def test_the_documentation_says_what_each_level_takes_out() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (PUBLIC|TEAM|PRIVATE|EPHEMERAL) \| (.+) \|$", text, re.MULTILINE)
    documented = {
        level: {
            category
            for category, cell in zip(Category, cells.split(" | "), strict=True)
            if cell == "yes"
        }
        for level, cells in rows
    }
    assert documented == LEVELS


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DB_PASSWORD", "password"), ("dbPassword", "password"), ("db.password", "password"),
        ("PGPASSWORD", "password"), ("password2", "password"), ("MYSQL_PWD", "password"),
        ("clientSecret", "secret"), ("CLIENT_SECRET_VALUE", "secret"), ("credentials", "secret"),
        ("accessToken", "token"), ("_authToken", "token"), ("X-Auth-Token", "token"),
        ("APIKey", "api_key"), ("api-key", "api_key"), ("signing_key", "api_key"),
        ("key", "high_entropy"), ("auth", "high_entropy"),
    ],
)  # fmt: skip
def test_names_of_credentials(name: str, kind: str) -> None:
    meaning = meaning_of(name)
    assert meaning is not None
    assert meaning.kind == kind


@pytest.mark.parametrize(
    "name",
    ["password_field", "passwordHash", "PWD", "OLDPWD", "max_tokens", "token_count", "tokenizer",
     "next_page_token", "pad_token", "public_key", "publicKeyToken", "primary_key", "cache_key",
     "access_key_id", "secret_name", "keyboard", "monkey", "author", "bypass", "", "_", "42"],
)  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    assert meaning_of(name) is None
