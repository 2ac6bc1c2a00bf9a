"""Tables for people, drawn by rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memctx.terminal import one_line

_NUMBERS = (int, float)


def print_table(
    stream: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | int | float | None]],
    *,
    colour: bool,
) -> None:
    """Writes a table; numbers stand right, long texts are folded, ids are never cut."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        cells = [row[index] for row in rows]
        number = bool(cells) and all(isinstance(cell, _NUMBERS) or cell is None for cell in cells)
        table.add_column(
            name,
            justify="right" if number else "left",
            no_wrap=number or name in {"id", "date"},
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(one_line(_cell(cell))) for cell in row))
    console = Console(file=stream, color_system="auto" if colour else None, highlight=False)
    console.print(table)


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
