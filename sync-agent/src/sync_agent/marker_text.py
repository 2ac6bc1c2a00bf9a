"""Changes single values of a TOML file, and leaves every other character as it was.

The text is changed line by line, then read again: an edit whose outcome is not exactly the one
that was meant (a value inside a multi-line string, a table written in line) is refused.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from typing import TYPE_CHECKING, TypeAlias

from sync_agent.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Callable

Path: TypeAlias = tuple[str, ...]
Tables: TypeAlias = dict[str, object]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def set_value(text: str, table: Path, name: str, value: str) -> str:
    """Returns ``text`` with ``name`` of ``table`` set; a table that is not there comes last.

    Raises:
        InvalidConfig: ``text`` is not TOML, or the value is written in a way that cannot be
            changed safely.
    """
    lines, newline = _lines(text)
    assignment = f"{_key(name)} = {_string(value)}"
    start = _find_table(lines, table)
    if start is None:
        gap = [""] if lines and lines[-1].strip() else []
        lines += [*gap, f"[{'.'.join(map(_key, table))}]", assignment]
    else:
        at = _find_key(lines, start, name)
        if at is None:
            lines.insert(_last_content(lines, start) + 1, assignment)
        else:
            indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
            lines[at] = indent + assignment + _comment(lines[at])

    def change(tables: Tables) -> None:
        inner = tables
        for part in table:
            found = inner.setdefault(part, {})
            if not isinstance(found, dict):
                raise InvalidConfig(f"{part} is no table")
            inner = found
        inner[name] = value

    return _checked(text, newline.join(lines) + newline, change)


def remove_value(text: str, table: Path, name: str) -> str:
    """Returns ``text`` without ``name`` of ``table``; raises as `set_value` does."""
    lines, newline = _lines(text)
    start = _find_table(lines, table)
    at = None if start is None else _find_key(lines, start, name)
    if at is not None:
        del lines[at]

    def change(tables: Tables) -> None:
        inner = _inner(tables, table)
        if inner is not None:
            inner.pop(name, None)

    return _checked(text, _joined(lines, newline), change)


def remove_table(text: str, table: Path) -> str:
    """Returns ``text`` without a table and what it holds; raises as `set_value` does.

    Comments after its last value stay: they may belong to what follows.
    """
    lines, newline = _lines(text)
    start = _find_table(lines, table)
    if start is not None:
        end = _last_content(lines, start) + 1
        while end < len(lines) and not lines[end].strip():
            end += 1
        del lines[start:end]
        while lines and not lines[-1].strip():
            lines.pop()

    def change(tables: Tables) -> None:
        inner = _inner(tables, table[:-1])
        if inner is not None:
            inner.pop(table[-1], None)
        if inner == {} and len(table) > 1:
            # Naming [a.b] is what made a; without it there is none.
            tables.pop(table[0], None)

    return _checked(text, _joined(lines, newline), change)


def _checked(before: str, after: str, change: Callable[[Tables], None]) -> str:
    try:
        meant = copy.deepcopy(tomllib.loads(before))
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(f"not TOML: {error}") from error
    change(meant)
    try:
        found = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        found = None
    if found != meant:
        raise InvalidConfig("this file is written in a way that has to be changed by hand")
    return after


def _lines(text: str) -> tuple[list[str], str]:
    newline = "\r\n" if "\r\n" in text else "\n"
    return text.removesuffix(newline).split(newline) if text else [], newline


def _joined(lines: list[str], newline: str) -> str:
    return newline.join(lines) + newline if lines else ""


def _find_table(lines: list[str], table: Path) -> int | None:
    for index, line in enumerate(lines):
        if line.lstrip().startswith("[") and _header_path(line) == table:
            return index
    return None


def _header_path(line: str) -> Path | None:
    """Returns the path of the table that a line begins, empty for one of an array of tables."""
    inner: object = _alone(line)
    names: list[str] = []
    while isinstance(inner, dict) and inner:
        [name] = inner
        names.append(str(name))
        inner = inner[name]
    if inner is None:
        return None
    return tuple(names) if isinstance(inner, dict) else ()


def _alone(line: str) -> Tables | None:
    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None


def _section_end(lines: list[str], start: int) -> int:
    for index in range(start + 1, len(lines)):
        if lines[index].lstrip().startswith("[") and _header_path(lines[index]) is not None:
            return index
    return len(lines)


def _last_content(lines: list[str], start: int) -> int:
    """Returns the last line of a table that is neither empty nor a comment."""
    for index in range(_section_end(lines, start) - 1, start, -1):
        if lines[index].strip() and not lines[index].lstrip().startswith("#"):
            return index
    return start


def _find_key(lines: list[str], start: int, name: str) -> int | None:
    for index in range(start + 1, _section_end(lines, start)):
        if name in (_alone(lines[index]) or ()):
            return index
    return None


def _comment(line: str) -> str:
    """Returns the comment at the end of a line that sets a value, with the space before it."""
    for index, character in enumerate(line):
        if character == "#":
            kept = line[:index].rstrip()
            if _alone(kept) is not None:
                return line[len(kept) :]
    return ""


def _inner(tables: Tables, table: Path) -> Tables | None:
    inner: object = tables
    for part in table:
        inner = inner.get(part) if isinstance(inner, dict) else None
    return inner if isinstance(inner, dict) else None


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _string(value: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
