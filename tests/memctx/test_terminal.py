"""Recalled text never steers a terminal."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from memctx.terminal import Style, one_line, visible, visible_json

ATTACKS = {
    "\x1b[2J\x1b[31mred": "\\x1b[2J\\x1b[31mred",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "\x9b31m": "\\x9b31m",
    "safe\revil": "safe\\x0devil",
    "a\x08\x08b": "a\\x08\\x08b",
    "exe.\u202efdp": "exe.\\u202efdp",
    "zero\u200bwidth": "zero\\u200bwidth",
    "line\u2028sep": "line\\u2028sep",
    "tag\U000e0041": "tag\\U000e0041",
    "\x7f\x00": "\\x7f\\x00",
    "lone\ud800": "lone\\ud800",
}


def test_known_attacks_are_written_out() -> None:
    for raw, shown in ATTACKS.items():
        assert visible(raw) == shown


def test_plain_text_stays_as_it_is() -> None:
    text = "naïve façade\tλ → 日本語 👩\u200d💻 ok\nnext"
    assert visible(text) == text
    assert visible("dos\r\nlines") == "dos\nlines"


@given(st.text())
def test_no_control_or_format_character_passes(text: str) -> None:
    shown = visible(text)
    assert all(
        c in "\n\t\u200c\u200d\xad" or unicodedata.category(c) not in {"Cc", "Cs"} for c in shown
    )
    assert not set(shown) & set("\x1b\x9b\u202e\u2066\u200f\u2028")
    assert "\n" not in one_line(text)


@given(st.text())
def test_json_keeps_its_value(text: str) -> None:
    encoded = json.dumps({"text": text}, ensure_ascii=False)
    shown = visible_json(encoded)
    assert json.loads(shown) == {"text": text}
    assert not set(shown) & set("\x1b\x9b\u202e\u2066\u200f\u2028\x7f")


def test_matched_words_are_bold_and_nothing_else() -> None:
    style = Style(enabled=True)
    text = "The parsers parse; a sparse matrix. PARSING (x)"
    assert style.highlight(text, ["parser", "matrix", "a", ".*"]) == (
        "The \x1b[1mparsers\x1b[0m \x1b[1mparse\x1b[0m; a sparse \x1b[1mmatrix\x1b[0m."
        " \x1b[1mPARSING\x1b[0m (x)"
    )
    assert Style(enabled=False).highlight(text, ["parser"]) == text
    assert Style(enabled=False)("x", "bold") == "x"
