"""Where a value stands: in quotes, in a shell, alone on its line, in the middle of code."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple

from memory_core.redaction.reader import Value


class Place(Enum):
    """Where a value stands; the less a place proves, the more the value must."""

    LITERAL = "literal"  # in quotes after an operator
    SHELL = "shell"  # NAME=value, --flag=value, ?name=value
    LINE = "line"  # name: value, alone on its line
    ARGUMENT = "argument"  # --flag value
    LISTED = "listed"  # ("name", "value")
    WORD = "word"  # name = value somewhere in code or prose
    AFTER_SPACE = "after_space"  # name value


class Assignment(NamedTuple):
    """A name with a value: ``raw`` is the name as written, with the hyphens of a flag.

    ``after`` is what stands between name and value (see ``assignments``); ``upper`` tells a
    name in upper case.
    """

    text: str
    start: int
    raw: str
    after: re.Match[str]
    value: Value
    upper: bool

    @property
    def op(self) -> str:
        """The operator, or nothing where a space stands in its place."""
        return self.after["op"] or ""

    @property
    def named(self) -> bool:
        """Whether the form leaves no doubt: ``value=`` after a name, or a typed name."""
        return bool(self.after["pair"] or self.after["typed"])


# Comparisons, defaults, arguments: after these only a literal can be a secret.
_WANTS_QUOTES: Final = frozenset(
    ("==", "===", "!=", "!==", "->", "::", ",", "or", "??", "??=", "||", "||=")
)
_JOINS: Final = frozenset(("?", "&", ";"))
_LINE_BEFORE: Final = re.compile(
    r"""(?:\A|\n|\\n)[ \t>+*\#;-]{0,24}(?:\d{1,6}[ \t]?[\u2192:|\t])?[ \t]{0,24}"""
    r"""(?:(?:export|setx?|ENV|ARG|env)[ \t]+)?["']?\Z"""
)
_LINE_AFTER: Final = re.compile(r"""[ \t]*(?:[#;/][^\n]{0,200}+)?(?:\r?\n|\\[nr]|\Z|["'])""")
_OPENS_CODE: Final = frozenset("(,{[<|.$:")


def place_of(found: Assignment) -> Place | None:
    """Returns where the value stands; None where it cannot be one."""
    if found.op == ">":
        return Place.LINE if _is_element(found) else None
    if found.op == "," and found.after["close"] is None:
        return None
    if found.value.quoted:
        return _place_of_quoted(found)
    return None if found.op in _WANTS_QUOTES else _place_of_bare(found)


def _place_of_quoted(found: Assignment) -> Place:
    if found.named or found.op not in {",", "", "is", "was"}:
        return Place.LITERAL
    if found.op == "," and not found.raw.startswith("-"):
        return Place.LISTED
    return Place.ARGUMENT if found.op else Place.AFTER_SPACE


def _place_of_bare(found: Assignment) -> Place:
    flag = found.raw.startswith("-")
    if not found.op and not found.named:
        return Place.ARGUMENT if flag else Place.AFTER_SPACE
    tight = found.op == "=" and not found.after["space"] and not found.after["gap"]
    if tight and (flag or found.upper or _joins_a_list(found)):
        return Place.SHELL
    if _is_whole_line(found):
        return Place.SHELL if found.upper else Place.LINE
    return Place.ARGUMENT if _stands_free(found) else Place.WORD


def _is_element(found: Assignment) -> bool:
    opened = found.text[found.start - 1 : found.start] == "<"
    return opened and found.text.startswith("</", found.value.end)


def _joins_a_list(found: Assignment) -> bool:
    """Tells ``?a=b&name=value`` and ``a=b; name=value``."""
    return found.text[max(0, found.start - 2) : found.start].rstrip()[-1:] in _JOINS


def _is_whole_line(found: Assignment) -> bool:
    if _LINE_AFTER.match(found.text, found.value.end) is None:
        return False
    before = _LINE_BEFORE.search(found.text, max(0, found.start - 60), found.start)
    return found.named or before is not None


def _stands_free(found: Assignment) -> bool:
    """Tells prose and lists of name=value from code: no bracket or comma on either side."""
    text, value = found.text, found.value
    before = text[max(0, found.start - 8) : found.start].rstrip()[-1:]
    after = text[value.end : value.end + 1]
    ended = not after or after in " \t\r\n\"'\\"
    return before not in _OPENS_CODE and ended and text[value.end - 1] not in ",;)}]|"


def trimmed(text: str, value: Value, place: Place) -> Value:
    """Returns a bare value without the punctuation that follows it."""
    end = value.end
    if not value.quoted:
        closing = ".,;:!?)]}>" if place in {Place.WORD, Place.AFTER_SPACE} else ",;"
        while end > value.start and text[end - 1] in closing:
            end -= 1
    return value._replace(end=end)
