"""How an import goes on, shown on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from memctx.terminal import one_line


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def file(self, path: Path) -> None:
        """Is told of a file."""

    def message(self) -> None:
        """Is told of a message."""

    def done(self, size: int) -> None:
        """Is told of the end of a file."""


class Bar(Silent):
    """A bar over the bytes of all files, with the file and the messages so far."""

    def __init__(self, total: int) -> None:
        from rich.console import Console  # noqa: PLC0415 - loaded only where a person looks on
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            DownloadColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(),
            DownloadColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[messages]} messages"),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._messages = 0
        self._task = self._progress.add_task("", total=total, messages=0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def file(self, path: Path) -> None:
        """Shows the file's name."""
        self._progress.update(self._task, description=one_line(path.name))

    def message(self) -> None:
        """Counts a message; the screen is drawn at its own pace."""
        self._messages += 1
        if self._messages % 50 == 0:
            self._progress.update(self._task, messages=self._messages)

    def done(self, size: int) -> None:
        """Moves the bar."""
        self._progress.update(self._task, advance=size, messages=self._messages)


@contextmanager
def stage_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """Yields what to call with a stage, the bytes done and their total; shows a bar of it."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    bar = Progress(
        SpinnerColumn(),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("", total=None)

    def update(stage: str, done: int, total: int | None) -> None:
        bar.update(task, description=one_line(stage), completed=done, total=total)

    with bar:
        yield update
