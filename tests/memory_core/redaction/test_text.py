"""What comes out of a text: placeholders, counts, levels, parts marked private."""

from __future__ import annotations

import random

import pytest

from memory_core.errors import InvalidInput
from memory_core.redaction import LEVELS, Redacted, placeholder, redact_text
from tests.memory_core.redaction.corpus import ALNUM, HEX, chars, pem

RNG = random.Random(5)
GITHUB = "gh" + "p_" + chars(RNG, 36)
SLACK = "xo" + "xb-123456789012-" + chars(RNG, 24)
AWS_ID = "AK" + "IA" + chars(RNG, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
AWS_SECRET = chars(RNG, 40, ALNUM + "+/")
CARD = "4111 1111 " + "1111 1111"
SSN = "536-90" + "-4399"
PERSONAL = f"mail ada@acme.dev or call +1 (555) 123-4567, card {CARD}, ssn {SSN}, key {GITHUB}"


def test_a_secret_becomes_a_typed_placeholder() -> None:
    assert redact_text(f"use {GITHUB} now") == Redacted(
        "use [REDACTED:github_token] now", {"github_token": 1}
    )


def test_text_without_secrets_is_returned_as_it_is() -> None:
    text = "why did we change the parser?"
    assert redact_text(text) == Redacted(text, {})


def test_counts_are_per_type() -> None:
    text = f"{GITHUB}\n{SLACK}\npassword='{chars(RNG, 12)}'\n{GITHUB}\n"
    assert redact_text(text).counts == {"github_token": 2, "slack_token": 1, "password": 1}


@pytest.mark.parametrize(
    ("level", "kinds"),
    [
        ("PUBLIC", {"email", "phone", "credit_card", "ssn", "github_token"}),
        ("TEAM", {"credit_card", "ssn", "github_token"}),
        ("PRIVATE", {"credit_card", "github_token"}),
        ("EPHEMERAL", {"email", "phone", "credit_card", "ssn", "github_token"}),
    ],
)
def test_the_level_decides_what_goes(level: str, kinds: set[str]) -> None:
    assert set(redact_text(PERSONAL, level).counts) == kinds


def test_the_level_is_team_unless_said() -> None:
    assert redact_text(PERSONAL) == redact_text(PERSONAL, "TEAM")


@pytest.mark.parametrize("level", ["", "team", "SECRET"])
def test_an_unknown_level_is_refused(level: str) -> None:
    with pytest.raises(InvalidInput):
        redact_text("x", level)


@pytest.mark.parametrize(
    ("text", "expected", "count"),
    [
        ("a <private>b</private> c", "a [REDACTED:private] c", 1),
        ("a <PRIVATE>b</Private> c", "a [REDACTED:private] c", 1),
        ("a <private>b", "a [REDACTED:private]", 1),
        ("a <private>b <private>c</private> d</private> e", "a [REDACTED:private] e", 1),
        ("a <private>b <private>c</private> d", "a [REDACTED:private]", 1),
        ("<private>a</private>b<private>c</private>", "[REDACTED:private]b[REDACTED:private]", 2),
        ('<private reason="x">a</private >b', "[REDACTED:private]b", 1),
        ("<private>\nmany\nlines\n</private>\nb", "[REDACTED:private]\nb", 1),
        ("<private></private>", "[REDACTED:private]", 1),
        (f"<private>{GITHUB}</private>", "[REDACTED:private]", 1),
        ("word<private>a</private>", "word[REDACTED:private]", 1),
    ],
)
def test_private_parts_are_dropped(text: str, expected: str, count: int) -> None:
    assert redact_text(text, "PRIVATE") == Redacted(expected, {"private": count})


@pytest.mark.parametrize(
    "text", ["</private> a", "<privateer>a", "a < private > b", "Local<Private> key;"]
)
def test_what_only_resembles_the_tag_stays(text: str) -> None:
    assert redact_text(text) == Redacted(text, {})


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["github_token", "password", "private", "email"])
def test_placeholders_stay(kind: str, level: str) -> None:
    text = f"password={placeholder(kind)} and token: {placeholder(kind)}"
    assert redact_text(text, level) == Redacted(text, {})


def test_a_secret_cannot_hide_in_brackets() -> None:
    secret = chars(RNG, 32, HEX)
    assert secret not in redact_text(f"token = '[REDACTED:{secret}]'").text
    assert GITHUB not in redact_text(f"[REDACTED:{GITHUB}]").text


def test_the_more_specific_type_wins() -> None:
    assert redact_text(f"password={GITHUB}").counts == {"github_token": 1}
    assert redact_text(f"Authorization: Bearer {GITHUB}").counts == {"github_token": 1}
    assert redact_text(f"https://bot:{GITHUB}@github.com/a/b").counts == {"github_token": 1}


def test_the_longer_finding_takes_in_the_shorter() -> None:
    block = pem(RNG)
    inside = block.replace("\n", f"\n{AWS_ID}\n", 1)
    assert redact_text(inside) == Redacted("[REDACTED:private_key]", {"private_key": 1})


def test_what_surrounds_a_secret_stays() -> None:
    text = "postgresql://app:{}@db.internal:5432/shop?sslmode=require"
    found = redact_text(text.format(chars(RNG, 14)))
    assert found.text == text.format("[REDACTED:url_password]")


def test_an_address_is_not_made_of_a_password() -> None:
    found = redact_text("https://bot:" + chars(RNG, 14) + "@git.acme.dev/a/b", "PUBLIC")
    assert found == Redacted(
        "https://bot:[REDACTED:url_password]@git.acme.dev/a/b", {"url_password": 1}
    )


def test_an_aws_secret_is_found_beside_its_id() -> None:
    found = redact_text(f"{AWS_ID}\t{AWS_SECRET}\teu-west-1")
    assert found.text == "[REDACTED:aws_access_key]\t[REDACTED:aws_secret_key]\teu-west-1"
    assert redact_text(f"blob {AWS_SECRET} end").counts == {}


def test_documented_examples_stay() -> None:
    text = "AKIAIOSFODNN7" + "EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"
    assert redact_text(text) == Redacted(text, {})


@pytest.mark.parametrize(
    "value",
    ["changeme", "<your-key>", "${VAR}", "$VAR", "os.environ['KEY']", "xxxxxxxx", "********",
     "{{ secret }}", "%SECRET%", "your-secret-here", "None", "null", "..."],
)  # fmt: skip
@pytest.mark.parametrize("form", ["PASSWORD={}", 'secret: "{}"', "--token {}", "api_key = {}"])
def test_stand_ins_stay(form: str, value: str) -> None:
    text = form.format(value)
    assert redact_text(text) == Redacted(text, {})


def test_a_broken_token_is_found_over_its_lines() -> None:
    token = "sk" + "-ant-api03-" + chars(RNG, 150)
    text = f"{token[:80]}\n{token[80:]}\n$ ls"
    assert redact_text(text) == Redacted(
        "[REDACTED:anthropic_api_key]\n$ ls", {"anthropic_api_key": 1}
    )


def test_two_tokens_on_two_lines_are_two() -> None:
    tokens = ["sk" + "-ant-api03-" + chars(RNG, 90) for _ in range(2)]
    assert redact_text("\n".join(tokens)).counts == {"anthropic_api_key": 2}


def test_certificates_and_public_keys_stay() -> None:
    for label in ("CERTIFICATE", "PUBLIC KEY", "PGP MESSAGE"):
        body = "\n".join(chars(RNG, 64) for _ in range(4))
        text = f"-----BEGIN {label}-----\n{body}\n-----END {label}-----"
        assert redact_text(text) == Redacted(text, {})


def test_text_after_a_cut_key_stays() -> None:
    block = pem(random.Random(7)).rsplit("\n", 2)[0]
    found = redact_text(f"{block}\n\nThe key above was cut.\n")
    assert found.text == "[REDACTED:private_key]\n\nThe key above was cut.\n"


@pytest.mark.parametrize(
    ("number", "hit"),
    [
        (CARD, True),
        (CARD.replace(" ", ""), True),
        ("4111 1111 " + "1111 1112", False),
        ("9111 1111 " + "1111 1111", False),
        ("5596 5597 5598 5599 559A 559B", False),
        ("17726007671234567", False),
        ("0.4111111111" + "111111", False),
    ],
)
def test_a_card_needs_issuer_length_and_check_digit(number: str, *, hit: bool) -> None:
    assert (redact_text(f"no {number} ok").counts == {"credit_card": 1}) is hit


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        (SSN, True),
        ("000-12" + "-3456", False),
        ("666-12" + "-3456", False),
        ("912-12" + "-3456", False),
        ("1536-90" + "-4399", False),
        ("SSN 536 90" + " 4399", True),
        ("rows 536 90" + " 4399", False),
    ],
)
def test_an_ssn_needs_valid_groups(text: str, *, hit: bool) -> None:
    assert (redact_text(text).counts == {"ssn": 1}) is hit


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("ada.l+x@mail.acme.co.uk", {"email": 1}),
        ("<ada@acme.dev>", {"email": 1}),
        ("git@github.com:acme/api.git", {}),
        ("@types/node@20.11.5", {}),
        ("x@self.weight", {}),
        ("+49 30 1234567", {"phone": 1}),
        ("(555) 123-4567", {"phone": 1}),
        ("555-123-4567", {"phone": 1}),
        ("+15551234567", {"phone": 1}),
        ("2026-03-04", {}),
        ("1772600767123", {}),
        ("10.0.0.254", {}),
    ],
)
def test_contacts_at_public(text: str, kinds: dict[str, int]) -> None:
    assert redact_text(f"see {text} there", "PUBLIC").counts == kinds


def test_unusual_characters_are_no_obstacle() -> None:
    for around in ("\0", "\ud800", "İ" * 40, "\u200b", "é", "\N{GRINNING FACE}"):
        found = redact_text(f"{around} password='{chars(RNG, 12)}' {around} {GITHUB}")
        assert found.counts == {"password": 1, "github_token": 1}
        assert found.text.startswith(around)
