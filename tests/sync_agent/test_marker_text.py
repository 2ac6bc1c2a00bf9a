"""Single values of a TOML file are changed, everything else stays as it was written."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.errors import InvalidConfig
from sync_agent.marker_text import remove_table, remove_value, set_value

WRITTEN = """\
# The team's project.
[project]
slug = "acme/api"   # do not change

[client]
# Which hub.
hub  =  "old"  # the old one, see "#42"

[hubs.old]
url = "https://old.example"

# Kept for later.
[hubs."two words"]
url = "https://two.example"
"""


def test_a_value_is_changed_and_every_other_line_stays() -> None:
    after = set_value(WRITTEN, ("client",), "hub", "new")
    assert after == WRITTEN.replace('hub  =  "old"  # the', 'hub = "new"  # the')


def test_a_value_that_is_new_comes_last_in_its_table() -> None:
    after = set_value(WRITTEN, ("project",), "id", "p-1")
    assert after == WRITTEN.replace("do not change\n", 'do not change\nid = "p-1"\n')


def test_a_table_that_is_new_comes_last() -> None:
    after = set_value(WRITTEN, ("hubs", "home"), "url", "https://home.example")
    assert after == WRITTEN + '\n[hubs.home]\nurl = "https://home.example"\n'


def test_an_empty_file_gets_its_first_table() -> None:
    assert set_value("", ("client",), "hub", "x") == '[client]\nhub = "x"\n'


def test_a_file_keeps_its_line_ends() -> None:
    after = set_value("[client]\r\nurl = 'x'\r\n", ("client",), "hub", "y")
    assert after == "[client]\r\nurl = 'x'\r\nhub = \"y\"\r\n"


def test_a_last_line_without_an_end_gets_one() -> None:
    assert set_value("[a]\nb = 1", ("c",), "d", "e") == '[a]\nb = 1\n\n[c]\nd = "e"\n'


def test_a_table_is_removed_with_what_it_holds_and_nothing_else() -> None:
    after = remove_table(WRITTEN, ("hubs", "old"))
    assert after == WRITTEN.replace('[hubs.old]\nurl = "https://old.example"\n\n', "")
    assert remove_table(WRITTEN, ("hubs", "unknown")) == WRITTEN


def test_a_quoted_table_is_found() -> None:
    after = remove_table(WRITTEN, ("hubs", "two words"))
    assert tomllib.loads(after)["hubs"] == {"old": {"url": "https://old.example"}}
    assert "# Kept for later." in after


def test_a_value_is_removed() -> None:
    after = remove_value(WRITTEN, ("client",), "hub")
    assert after == WRITTEN.replace('hub  =  "old"  # the old one, see "#42"\n', "")
    assert remove_value(WRITTEN, ("nothing",), "hub") == WRITTEN


@pytest.mark.parametrize(
    "text",
    ["client = {url = 'x'}\n", "client.url = 'x'\n", "[client]\nhub = [\n 'x',\n]\n",
     "client = 1\n", "[[client]]\nurl = 'x'\n", "not toml", '[client]\nhub = """\nx\n"""\n'],
)  # fmt: skip
def test_what_cannot_be_changed_safely_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig):
        set_value(text, ("client",), "hub", "new")


def test_a_line_inside_a_long_string_is_not_taken_for_a_table() -> None:
    text = 'a = """\n[client]\nhub = "x"\n"""\n'
    with pytest.raises(InvalidConfig):
        set_value(text, ("client",), "hub", "new")


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=12)


@given(st.dictionaries(NAMES, NAMES, max_size=5), NAMES, NAMES)
def test_any_name_and_value_comes_back(others: dict[str, str], name: str, value: str) -> None:
    text = ""
    for other, held in others.items():
        text = set_value(text, ("hubs", other), "url", held)
    text = set_value(text, ("hubs", name), "url", value)
    expected = {other: {"url": held} for other, held in (others | {name: value}).items()}
    assert tomllib.loads(text) == {"hubs": expected}
    without = remove_table(text, ("hubs", name))
    del expected[name]
    assert tomllib.loads(without) == ({"hubs": expected} if expected else {})
