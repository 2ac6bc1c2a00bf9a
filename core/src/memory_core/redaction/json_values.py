"""Redaction of JSON values, where a key says what its value is."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from pydantic import JsonValue

from memory_core.errors import InvalidInput
from memory_core.redaction.engine import redact_text
from memory_core.redaction.judge import accepts, looks_made
from memory_core.redaction.kinds import categories_of, placeholder
from memory_core.redaction.names import meaning_of
from memory_core.redaction.places import Place

_MAX_DEPTH: Final = 200
_MAX_NAMED: Final = 4096
_FLAG: Final = re.compile(r"--?[A-Za-z][A-Za-z0-9_-]{0,60}")
_HEADERS: Final = ("authorization", "cookie")
_NAMING_KEYS: Final = ("name", "key", "Name", "Key")
_VALUE_KEYS: Final = frozenset(("value", "Value"))


def redact_value(value: JsonValue, level: str) -> tuple[JsonValue, dict[str, int]]:
    """Redacts every string in a JSON value; returns a new value and the counts per type.

    A key such as ``password`` is context for the string, or list of strings, below it, and
    so are ``{"name": "DB_PASSWORD", "value": …}`` and a flag before its argument in a list.
    Keys stay as they are, unless one holds a secret itself; numbers are not looked at.

    Raises:
        InvalidInput: the level is unknown, or the value nests deeper than 200 levels.
    """
    categories_of(level)
    counts: Counter[str] = Counter()
    return _redacted(value, level, "", counts, _MAX_DEPTH), dict(counts)


def _redacted(
    value: JsonValue, level: str, name: str, counts: Counter[str], depth: int
) -> JsonValue:
    if depth < 0:
        raise InvalidInput(f"the value nests deeper than {_MAX_DEPTH} levels")
    if isinstance(value, str):
        return _redacted_string(value, level, name, Place.LITERAL, counts)
    if isinstance(value, dict):
        return _redacted_object(value, level, counts, depth - 1)
    if isinstance(value, list):
        return _redacted_list(value, level, name, counts, depth - 1)
    return value


def _redacted_object(
    value: dict[str, JsonValue], level: str, counts: Counter[str], depth: int
) -> dict[str, JsonValue]:
    named = next((v for k in _NAMING_KEYS if isinstance(v := value.get(k), str)), "")
    result: dict[str, JsonValue] = {}
    for key, item in value.items():
        name = named if key in _VALUE_KEYS else key
        result[_free_key(key, level, result, counts)] = _redacted(item, level, name, counts, depth)
    return result


def _free_key(key: str, level: str, taken: dict[str, JsonValue], counts: Counter[str]) -> str:
    """Returns the key without secrets, numbered where two would become the same."""
    found = redact_text(key, level)
    counts.update(found.counts)
    free, number = found.text, 2
    while free in taken:
        free, number = f"{found.text} ({number})", number + 1
    return free


def _redacted_list(
    value: list[JsonValue], level: str, name: str, counts: Counter[str], depth: int
) -> list[JsonValue]:
    result: list[JsonValue] = []
    flag = ""
    for item in value:
        if flag and isinstance(item, str):
            result.append(_redacted_string(item, level, flag, Place.ARGUMENT, counts))
        else:
            result.append(_redacted(item, level, name, counts, depth))
        flag = item.lstrip("-") if isinstance(item, str) and _FLAG.fullmatch(item) else ""
    return result


def _redacted_string(text: str, level: str, name: str, place: Place, counts: Counter[str]) -> str:
    # A header's scheme and its parts are known by the header's name.
    prefix = f"{name}: " if name.lower().endswith(_HEADERS) else ""
    found = redact_text(prefix + text, level)
    rest = found.text.removeprefix(prefix)
    meaning = meaning_of(name) if name and len(rest) <= _MAX_NAMED else None
    if meaning is None or not accepts(meaning, place, rest):
        counts.update(found.counts)
        return rest
    kind = (meaning.provider_kind if looks_made(rest) else None) or meaning.kind
    counts[kind] += 1
    return placeholder(kind)
