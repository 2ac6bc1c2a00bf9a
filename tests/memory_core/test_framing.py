"""What is wrapped can always be taken out again, whatever stands in it and around it."""

from __future__ import annotations

import html
import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core import framing
from memory_core.errors import InvalidInput

NONCES = st.from_regex(r"[A-Za-z0-9_-]{8,64}", fullmatch=True)
# Texts that like to break envelopes: tags, pieces of tags, escapes and invisible characters.
PIECES = st.sampled_from(
    [
        "<memory-context",
        '<memory-context nonce="abcdefgh">',
        '</memory-context nonce="abcdefgh">',
        "</memory-context>",
        "< / Memory-Context",
        "<mem\u200bory-context",
        "&lt;memory-context nonce=&quot;abcdefgh&quot;&gt;",
        "\\u003c/memory-context nonce=\\u0022abcdefgh\\u0022\\u003e",
        '\\"',
        "\u202e",
        "\x1b[31m",
        "\n",
    ]
)
HOSTILE = st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=12).map("".join)
PLAIN = st.text(max_size=60).filter(lambda text: "memory-context" not in text)


@given(HOSTILE, NONCES)
def test_wrapped_text_is_stripped_wholly(text: str, nonce: str) -> None:
    assert framing.strip(framing.wrap(text, nonce)) == ""


@given(PLAIN, HOSTILE, PLAIN, NONCES)
def test_what_stands_around_an_envelope_stays(
    before: str, text: str, after: str, nonce: str
) -> None:
    stripped = framing.strip(before + framing.wrap(text, nonce) + after)
    assert stripped == "\n".join(part for part in (before, after) if part.strip())


@given(PLAIN, HOSTILE, NONCES, st.integers(0, 2_000))
def test_a_cut_off_envelope_is_stripped_to_the_end(
    before: str, text: str, nonce: str, cut: int
) -> None:
    wrapped = framing.wrap(text, nonce)
    opening = wrapped.index("\n")
    shown = before + wrapped[: opening + cut]
    assert framing.strip(shown) == (before if before.strip() else "")


def test_an_envelope_cut_off_inside_its_first_tag_is_stripped() -> None:
    opening = framing.wrap("", "nonce-001").split("\n")[0]
    for end in range(len("<memory-context nonce"), len(opening)):
        assert framing.strip("said " + opening[:end]) == "said "


@given(HOSTILE, PLAIN, NONCES, st.integers(0, 2_000))
def test_an_envelope_without_its_beginning_is_stripped_from_the_start(
    text: str, after: str, nonce: str, cut: int
) -> None:
    wrapped = framing.wrap(text, nonce)
    closing = wrapped.rindex("\n")
    assert framing.strip(wrapped[min(cut + 1, closing) :] + after) == (
        after if after.strip() else ""
    )


@given(HOSTILE, NONCES)
def test_an_envelope_in_json_or_html_is_stripped(text: str, nonce: str) -> None:
    wrapped = framing.wrap(text, nonce)
    output = json.dumps({"hookSpecificOutput": {"additionalContext": wrapped}})
    assert framing.strip(output) == '{"hookSpecificOutput": {"additionalContext": "\n"}}'
    assert framing.strip(json.dumps(output)).count("memory") == 0
    assert framing.strip(html.escape(wrapped)) == ""
    escaped = output.replace("<", "\\u003c").replace(">", "\\u003e")
    assert "memory" not in framing.strip(escaped)


@given(HOSTILE)
def test_stripping_twice_is_stripping_once(text: str) -> None:
    once = framing.strip(text)
    assert framing.strip(once) == once


@given(HOSTILE, NONCES)
def test_the_text_cannot_close_its_envelope_or_open_another(text: str, nonce: str) -> None:
    wrapped = framing.wrap(text, nonce)
    assert len(re.findall(r"memory-context nonce=", wrapped)) == 2
    assert wrapped.startswith(f'<memory-context nonce="{nonce}">\n')
    assert wrapped.endswith(f'\n</memory-context nonce="{nonce}">')


def test_two_envelopes_leave_what_is_between() -> None:
    first, second = framing.wrap("a", "nonce-001"), framing.wrap("b", "nonce-002")
    assert framing.strip(f"start {first} middle {second} end") == "start \n middle \n end"


def test_the_sides_of_an_envelope_do_not_form_a_tag() -> None:
    inner = framing.wrap("x", "nonce-001")
    text = f'<memory-{inner}context nonce="nonce-002">kept'
    assert "kept" in framing.strip(text)


@pytest.mark.parametrize(
    "character",
    ["\x00", "\x07", "\x1b", "\x7f", "\u200b", "\u200d", "\u202e", "\u2066", "\ufeff", "\u00ad",
     "\U000e0041", "\ufe0f", "\ud800"],
)  # fmt: skip
def test_invisible_characters_are_left_out(character: str) -> None:
    assert framing.wrap(f"a{character}b", "nonce-001").split("\n")[1] == "ab"


def test_line_separators_become_line_ends_and_text_stays() -> None:
    wrapped = framing.wrap("größe\u2028日本\r\n\tx", "nonce-001")
    assert wrapped.split("\n")[1:-1] == ["größe", "日本", "\tx"]


@pytest.mark.parametrize("nonce", ["", "short", "x" * 65, 'quote"quote', "space space", "ünicode8"])
def test_a_bad_nonce_is_refused(nonce: str) -> None:
    with pytest.raises(InvalidInput):
        framing.wrap("text", nonce)


def test_nonces_differ() -> None:
    assert len({framing.new_nonce() for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize(
    "text",
    [
        "<" * 300_000 + "memory-context",
        "\\" * 300_000 + "memory-context",
        "<" + " " * 300_000 + "memory-context",
        '<memory-context nonce="abcdefgh">' * 10_000,
        '</memory-context nonce="abcdefgh">' * 10_000,
        "<memory-context nonce=" * 15_000,
    ],
    ids=["lt", "backslashes", "spaces", "openings", "closings", "cut openings"],
)
def test_hostile_texts_take_no_more_than_linear_time(text: str) -> None:
    begun = time.process_time()
    framing.strip(text)
    framing.wrap(text, "nonce-001")
    assert time.process_time() - begun < 5
