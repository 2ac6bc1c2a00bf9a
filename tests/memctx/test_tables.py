"""Tables on a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from memctx.tables import print_table

ID = "0198c5e2-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True, scope="module")
def width() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        yield


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(columns: tuple[str, ...], rows: list[tuple[str | int | float | None, ...]]) -> list[str]:
    stream = Terminal()
    print_table(stream, columns, rows, colour=False)
    return stream.getvalue().splitlines()


@given(st.text(max_size=300), st.text(max_size=60), st.integers(0, 10**6))
def test_a_row_is_one_line_and_its_id_is_whole(title: str, project: str, turns: int) -> None:
    lines = drawn(
        ("date", "project", "title", "turns", "id"),
        [("2026-01-01", project, title, turns, ID), ("2026-01-02", "p", None, 1, ID)],
    )
    assert len(lines) == 4
    assert all(line.rstrip().endswith(ID) for line in lines[2:])
    assert all(cell_len(line) <= 80 for line in lines)


def test_numbers_stand_right_and_texts_left() -> None:
    lines = drawn(("name", "quality", "n"), [("a", 0.5, 7), ("bb", 0.25, 123)])
    assert lines[2:] == ["a        0.50    7", "bb       0.25  123"]


def test_markup_and_controls_stay_text() -> None:
    lines = drawn(("name",), [("[bold]x[/bold] \x1b[31m :smile:",)])
    assert lines[2].strip() == "[bold]x[/bold] \\x1b[31m :smile:"
