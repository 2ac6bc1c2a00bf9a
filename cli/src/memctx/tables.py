"""Tables for people, drawn by rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO, TypeAlias

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memctx.terminal import one_line

Cell: TypeAlias = str | int | float | None

_NUMBERS = (int, float)
_GAP = 2
# The column that gives way when a row does not fit; an id that is cut is of no use.
_LEAST_WIDTHS = {
    "title": 24, "description": 24, "problem": 24, "value": 16, "name": 16, "slug": 12,
    "project": 8, "branch": 6, "from": 8, "type": 6, "projects": 8, "owner": 6, "scopes": 5,
}  # fmt: skip


def print_table(
    stream: TextIO, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, colour: bool
) -> None:
    """Writes a table with one line for each row; numbers stand right, ids are never cut."""
    console = Console(file=stream, color_system="auto" if colour else None, highlight=False)
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP - 1, 0, 0),
        header_style="bold",
    )
    cells = [[one_line(_text(cell)) for cell in row] for row in rows]
    for index, name in enumerate(columns):
        kinds = [row[index] for row in rows]
        number = all(isinstance(cell, _NUMBERS) or cell is None for cell in kinds)
        table.add_column(name, justify="right" if number and rows else "left", no_wrap=True)
    for row in _fitted(columns, cells, console.width):
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _fitted(columns: Sequence[str], rows: list[list[str]], width: int) -> list[list[str]]:
    """Shortens columns, the first that gives way first, until a row fits into ``width``."""
    widths = [
        max([cell_len(name), *(cell_len(row[index]) for row in rows)])
        for index, name in enumerate(columns)
    ]
    for name, least in [*_LEAST_WIDTHS.items(), *((name, 8) for name in _LEAST_WIDTHS)]:
        over = sum(widths) + _GAP * (len(columns) - 1) - width
        if over > 0 and name in columns:
            index = columns.index(name)
            widths[index] = max(min(widths[index], least), widths[index] - over)
    return [[_cut(cell, widths[index]) for index, cell in enumerate(row)] for row in rows]


def _cut(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    shortened = Text(text)
    shortened.truncate(width, overflow="ellipsis")
    return shortened.plain


def _text(value: Cell) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
