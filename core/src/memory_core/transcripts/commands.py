"""Which commands failed and later passed: the errors of a session, with what mended them."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field

from pydantic import JsonValue

from memory_core.transcripts.results import ToolResult
from memory_core.transcripts.text import one_line

_MAX_OPEN = 100
_MAX_FIXED = 20
_MAX_FILES = 5
_MAX_SCANNED = 40_000

_LEADING = re.compile(
    r"\A(?:cd \S+ *(?:&&|;) *|[A-Z_][A-Z0-9_]*=\S* +|(?:sudo|time|timeout \S+) +)"
)
_PIPE = re.compile(r" (?:\|(?!\|)|\d?>{1,2}&?|<<)")
# Programs whose failure means that nothing was found, not that something was broken.
_READERS = {
    *("grep", "rg", "ag", "find", "ls", "cat", "head", "tail", "sed", "awk", "test", "which"),
    *("type", "stat", "diff", "cmp", "wc", "echo", "sleep", "kill", "pgrep", "jq", "curl", "ps"),
}
_FAILURE_WORDS = re.compile(
    r"\b[1-9]\d* (?:failures?|failed|errors?)\b|^(?:FAILED|FAIL)\b|^Traceback \(most recent|"
    r"^[ \t]*\w*(?:Error|Exception)\b *[:(]|^[ \t]*error(?:\[\w+\])?:|^\*\* \(|^fatal:|"
    r"^make.*\*\*\*|^npm ERR!|[Cc]ompilation (?:error|failed)|^panic:|^E {2,}\S",
    re.MULTILINE,
)


@dataclass(slots=True)
class _Failure:
    error: str
    count: int = 1
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A command that failed ``failures`` times, then passed after ``files`` were changed."""

    command: str
    error: str
    failures: int
    files: tuple[str, ...]

    def as_json(self) -> dict[str, JsonValue]:
        """Returns the JSON-native form for metadata."""
        return {
            "command": self.command,
            "error": self.error,
            "failures": self.failures,
            "files": list(self.files),
        }

    def sentence(self) -> str:
        """Returns the form for a checkpoint's text."""
        changed = f"; passed after changing {', '.join(self.files)}" if self.files else "; passed"
        return f"`{self.command}` failed: {self.error}{changed}"


class CommandHistory:
    """Follows commands by their essential form, in bounded memory."""

    def __init__(self) -> None:
        self.fixed: list[Fixed] = []
        self._open: OrderedDict[str, _Failure] = OrderedDict()

    def changed(self, files: tuple[str, ...]) -> None:
        """Takes note of files changed while commands fail."""
        for failure in self._open.values():
            for path in files:
                shown = one_line(path, 160)
                if shown not in failure.files and len(failure.files) < _MAX_FILES:
                    failure.files.append(shown)

    def ran(self, command: str, result: ToolResult) -> None:
        """Takes note of a command's end."""
        key = essence(command)
        if not key or result.state not in {"ok", "failed"}:
            return
        if result.state == "failed" or _masked_failure(command, result.output):
            if known := self._open.get(key):
                known.count += 1
                return
            self._open[key] = _Failure(error_line(result.output))
            if len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)
        elif failure := self._open.pop(key, None):
            self.fixed.append(Fixed(key, failure.error, failure.count, tuple(failure.files)))
            del self.fixed[:-_MAX_FIXED]


def essence(command: str) -> str:
    """Returns what a command runs, without where, with which environment and into which pipe.

    Empty for a command that only looks something up.
    """
    text = command.strip()[:2_000]
    while found := _LEADING.match(text):
        text = text[found.end() :]
    text = text.split("\n", 1)[0]
    if cut := _PIPE.search(text):
        text = text[: cut.start()]
    program = text.split(" ", 1)[0].rsplit("/", 1)[-1]
    return "" if program in _READERS else one_line(text, 160)


def _masked_failure(command: str, output: str) -> bool:
    """A pipe ends with the state of its last command: then the output has to tell."""
    if not _PIPE.search(command) and "||" not in command:
        return False
    return _FAILURE_WORDS.search(output[-_MAX_SCANNED:]) is not None


def error_line(output: str) -> str:
    """Returns the line of an output that best names what went wrong."""
    scanned = output[-_MAX_SCANNED:]
    if found := _FAILURE_WORDS.search(scanned):
        start = scanned.rfind("\n", 0, found.start()) + 1
        end = scanned.find("\n", found.end())
        return one_line(scanned[start : end if end >= 0 else None], 160)
    lines = [line for line in scanned.splitlines() if line.strip()]
    # A short message begins with what is wrong, a long report ends with it.
    return one_line(lines[0 if len(lines) <= 10 else -1], 160) if lines else "no output"
