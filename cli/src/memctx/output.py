"""What a command says: data on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from memctx.terminal import Style, one_line, visible, visible_json
from memory_core.errors import ContextError
from sync_agent.config import colour_wanted

if TYPE_CHECKING:
    from pydantic import JsonValue

Cell = str | int | float | None


class Output:
    """Writes one command's result, as text for people or as one JSON envelope.

    The envelope is ``{status, command, duration_ms, count, data}``, with ``warnings`` if there
    are any; of an error ``{status: "error", command, duration_ms, error: {code, title,
    detail}}``.
    """

    def __init__(self, *, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.command = ""
        self.as_json = False
        self.quiet = False
        self.no_color = False
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._started = time.monotonic()
        self._warnings: list[str] = []
        for stream in (self._stdout, self._stderr):
            # A terminal without the character gets a question mark, not a traceback.
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="replace")

    @property
    def on_terminal(self) -> bool:
        """Says whether standard output is a terminal that a person reads."""
        return self._stdout.isatty() and not self.as_json

    @property
    def shows_progress(self) -> bool:
        """Says whether standard error is a terminal on which a bar may move."""
        return self._stderr.isatty() and not self.quiet

    @property
    def style(self) -> Style:
        """Returns how text on standard output is marked."""
        return Style(enabled=self._colour(self._stdout) and not self.as_json)

    def note(self, text: str) -> None:
        """Says what is going on; nothing that another program would need."""
        if not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """Says what is not as it should be, and keeps it for the envelope."""
        self._warnings.append(text)
        self._say(f"{self._error_style('warning:', 'yellow')} {visible(text)}", safe=True)

    def line(self, text: str = "") -> None:
        """Writes one line of data; ``text`` is written as it is and must be safe."""
        self._stdout.write(text + "\n")

    def text(self, text: str) -> None:
        """Writes text from anywhere, made safe for a terminal."""
        self.line(visible(text))

    def fields(self, values: Mapping[str, Cell | list[str]]) -> None:
        """Writes names and values below each other; empty ones are left out."""
        shown = {name: value for name, value in values.items() if value not in (None, "", [], ())}
        width = max((len(name) for name in shown), default=0)
        for name, value in shown.items():
            cell = value if isinstance(value, str | int | float | None) else ", ".join(value)
            first, *rest = visible(_cell(cell)).split("\n")
            self.line(f"{self.style(name.ljust(width), 'dim')}  {first}")
            for more in rest:
                self.line(f"{' ' * width}  {more}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Writes a table: ruled on a terminal, else lines with tabs, the names first."""
        if not self.on_terminal:
            for row in (columns, *rows):
                self.line("\t".join(one_line(_cell(cell)) for cell in row))
            return
        if not rows:
            self.note("none")
            return
        from memctx.tables import print_table  # noqa: PLC0415 - rich takes long to load

        print_table(self._stdout, columns, rows, colour=self.style.enabled)

    def finish(
        self,
        data: JsonValue,
        *,
        count: int | None = None,
        human: Callable[[], None] | None = None,
    ) -> None:
        """Writes the result: the envelope with ``--json``, else what ``human`` writes."""
        if not self.as_json:
            if human is not None:
                human()
            return
        if count is None:
            count = len(data) if isinstance(data, list) else int(data is not None)
        self._envelope({"status": "success", "count": count, "data": data})

    def fail(self, error: ContextError, advice: str = "") -> None:
        """Writes an error in one line with the next step, and the envelope with ``--json``."""
        sentence = f"{error.detail.rstrip('.')}; {advice}" if advice else error.detail
        details = _validation(error)
        self._say(
            f"{self._error_style('error:', 'red')} {one_line(sentence)}{one_line(details)}",
            safe=True,
        )
        if self.as_json:
            problem: dict[str, JsonValue] = {
                "code": error.code,
                "title": error.title(),
                "detail": sentence,
            }
            self._envelope({"status": "error", "error": problem | error.extra})

    def _envelope(self, content: dict[str, JsonValue]) -> None:
        passed = round((time.monotonic() - self._started) * 1000, 1)
        envelope: dict[str, JsonValue] = {
            "status": content.pop("status"),
            "command": self.command,
            "duration_ms": passed,
            **content,
        }
        if self._warnings:
            envelope["warnings"] = [*self._warnings]
        indent = 2 if self._stdout.isatty() else None
        encoded = json.dumps(envelope, ensure_ascii=False, indent=indent, default=str)
        self.line(visible_json(encoded))

    def _say(self, text: str, *, safe: bool = False) -> None:
        self._stderr.write((text if safe else visible(text)) + "\n")
        self._stderr.flush()

    def _colour(self, stream: TextIO) -> bool:
        return not self.no_color and stream.isatty() and colour_wanted()

    def _error_style(self, text: str, name: str) -> str:
        return Style(enabled=self._colour(self._stderr))(text, name, "bold")


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _validation(error: ContextError) -> str:
    """Returns where in the request the values are that the hub refused."""
    found = error.extra.get("errors")
    if not isinstance(found, list):
        return ""
    parts = []
    for each in found[:5]:
        if isinstance(each, dict):
            place = each.get("loc")
            name = ".".join(str(part) for part in place) if isinstance(place, list) else place
            parts.append(f"{name}: {each.get('message')}")
    return f" ({'; '.join(parts)})" if parts else ""
