"""The decision about a named value: what a name, a place and a value prove together."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from memory_core.redaction.names import Class, Meaning
from memory_core.redaction.values import (
    character_classes,
    entropy,
    is_code,
    is_hex,
    is_mixed,
    is_path,
    is_pattern,
    is_scrambled,
    is_stand_in,
    is_uuid,
)

_STEM_INSIDE: Final = re.compile(
    r"pass|pwd|secret|token|key|auth|cred|env|config|user|login", re.IGNORECASE
)
_RESOURCE: Final = re.compile(r"[\w.@:-]*(?:/[\w.@:-]+)+/?")
_WORDY_PART: Final = re.compile(r"[A-Za-z]+\d{0,2}|\d{1,4}|[vV]\d+")
_CONSTANT: Final = re.compile(r"[A-Z][A-Z_]*(?:\d{1,2}(?:_[A-Z_]+)?)?")
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_CALL: Final = re.compile(r"[({\[|]|=>|->|::|&&")


# What stands in the first characters decides; more would only cost time.
_JUDGED: Final = 256


class Place(Enum):
    """Where a value stands; the less a place proves, the more the value must."""

    LITERAL = "literal"  # in quotes after an operator
    SHELL = "shell"  # NAME=value, --flag=value, ?name=value
    LINE = "line"  # name: value, alone on its line
    ARGUMENT = "argument"  # --flag value, ("name", "value")
    WORD = "word"  # name = value somewhere in code or prose
    AFTER_SPACE = "after_space"  # name value


def looks_made(value: str) -> bool:
    """Tells whether a machine made the value: random letters and digits, a UUID, a digest."""
    return is_scrambled(value, least=12) or is_uuid(value) or (len(value) >= 32 and is_hex(value))


def is_wordy(value: str) -> bool:
    """Tells whether a value is made of words and small numbers, as resource names are."""
    return all(_WORDY_PART.fullmatch(part) for part in re.split(r"[-_. ]+", value.strip("-_. ")))


def accepts(meaning: Meaning, place: Place, value: str) -> bool:
    """Tells whether the value of a name with this meaning, at this place, is a secret."""
    value = value[:_JUDGED]
    if len(value) < 4 or any(c.isspace() for c in value) or is_stand_in(value):
        return False
    if is_pattern(value):
        return False
    if place is Place.AFTER_SPACE:
        return meaning.cls is not Class.HINT and is_scrambled(value, least=20)
    match meaning.cls:
        case Class.PASSWORD:
            return _accepts_password(place, value)
        case Class.SECRET:
            return _accepts_secret(place, value, upper=meaning.upper)
        case Class.TOKEN:
            return looks_made(value) and (place is not Place.WORD or not is_wordy(value))
        case Class.HINT:
            return place is not Place.WORD and _is_long_and_random(value)


def _accepts_password(place: Place, value: str) -> bool:
    if is_path(value) or _CONSTANT.fullmatch(value):
        return False
    letters_only = not is_mixed(value) and not value.isdigit()
    match place:
        case Place.LITERAL | Place.SHELL:
            if place is Place.SHELL and _CALL.search(value):
                return False
            if not letters_only:
                return len(value) >= 4
            known = _STEM_INSIDE.search(value) or value.istitle() or len(value) < 6
            return not known
        case Place.LINE | Place.ARGUMENT:
            return not letters_only and len(value) >= 6 and not _is_expression(value)
        case _:
            return (len(value) >= 8 and character_classes(value) >= 3 and not is_code(value)) or (
                is_scrambled(value, least=12)
            )


def _accepts_secret(place: Place, value: str, *, upper: bool) -> bool:
    made = looks_made(value)
    if is_path(value) or (not made and (_RESOURCE.fullmatch(value) or _CONSTANT.fullmatch(value))):
        return False
    match place:
        case Place.LITERAL | Place.SHELL:
            if place is Place.SHELL and _CALL.search(value):
                return False
            return len(value) >= 8 and (made or upper or not is_wordy(value))
        case Place.LINE | Place.ARGUMENT:
            plain = is_mixed(value) and len(value) >= 8 and not is_wordy(value)
            return made or (plain and not _is_expression(value))
        case _:
            return made or (
                len(value) >= 10 and character_classes(value) >= 3 and not is_code(value)
            )


def _is_expression(value: str) -> bool:
    if _CALL.search(value) or _DOTTED.fullmatch(value):
        return True
    digits = any(c.isdigit() for c in value)
    return (value.isidentifier() or not digits) and _STEM_INSIDE.search(value) is not None


def _is_long_and_random(value: str) -> bool:
    return (
        24 <= len(value) <= 512
        and is_scrambled(value, least=24)
        and character_classes(value) >= 3
        and entropy(value) >= 3.8
        and not is_hex(value)
        and not is_uuid(value)
        and not is_path(value)
    )
