"""What the sections of the report are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Result = dict[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Returns a Markdown table; all columns but the first are aligned right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def command(result: Result) -> str:
    """Returns the line that says how a result was made."""
    load = f"{result['load_before']} before, {result['load_after']} after"
    return f"`{result['command']}`, {result['date']}, load average {load}.\n"


def picture(name: str, words: str) -> str:
    """Returns a picture in the reader's theme."""
    return (
        '<picture>\n  <source media="(prefers-color-scheme: dark)"'
        f' srcset="charts/{name}-dark.svg">\n'
        f'  <img src="charts/{name}.svg" alt="{words}">\n</picture>\n'
    )
