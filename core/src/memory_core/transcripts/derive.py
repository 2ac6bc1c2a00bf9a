"""What a session was about, by rules: gathered line by line, in bounded memory."""

from __future__ import annotations

import json
import re
from collections import Counter, OrderedDict, deque

from pydantic import JsonValue

from memory_core.ids import derive_id
from memory_core.transcripts.calls import Todo, ToolCall
from memory_core.transcripts.commands import CommandHistory
from memory_core.transcripts.items import CheckpointItem, SessionEnd, SessionItem
from memory_core.transcripts.results import ToolResult
from memory_core.transcripts.text import bounded, one_line

MAX_TITLE = 120
_MAX_FILES = 500
_MAX_TASKS = 200
_MAX_NAMES = 30
_REMEMBERED_TURNS = 5
_MAX_FIXED_BYTES = 32_000

_COMMIT = re.compile(r"^\[[^\]\s]{1,200}(?: \([^)]{1,40}\))? ([0-9a-f]{7,40})\] ", re.MULTILINE)
_TASK_NUMBER = re.compile(r"[Tt]ask #?(\w{1,20})\b")
# A command of the agent's own interface asks for nothing that is worth a title.
_BARE_COMMAND = re.compile(r"/[\w:-]+")
_NEXT_STEPS = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|[-*][ \t]+|\d+\.[ \t]+)?(?:\*\*)?"
    r"(?:(?:optional |suggested |recommended )?next steps?|what'?s next|"
    r"remaining(?: work| tasks?)?|still (?:open|to do)|to[- ]?dos?|follow[- ]?ups?|"
    r"pending(?: tasks?)?|not (?:yet )?done)\b[^\n]{0,200}$",
    re.IGNORECASE | re.MULTILINE,
)
_INLINE = re.compile(r":\*{0,2} *[^\s*]")
_HEADING = re.compile(r"^(?:#{1,6} |\d+\. \S|\*\*[^*\n]+\*\*:?$)")


class Digest:
    """Accumulates one session; ``end`` tells what came out of it."""

    def __init__(self, session: SessionItem) -> None:
        self.session = session
        self.ended_at = session.started_at
        self.counts: Counter[str] = Counter()
        self._given_title = ""
        self._first_request = ""
        self._last_request = ""
        self._last_said = ""
        self._turns: deque[str] = deque(maxlen=_REMEMBERED_TURNS)
        self._last_source = ""
        self._branch = session.git_branch
        self._commit: str | None = None
        self._changed: OrderedDict[str, None] = OrderedDict()
        self._tools: Counter[str] = Counter()
        self._models: OrderedDict[str, None] = OrderedDict()
        self._todos: OrderedDict[str, Todo] = OrderedDict()
        self._commands = CommandHistory()

    def at(self, time: str, source_id: str) -> None:
        """Takes note of when and where the last thing happened."""
        self.ended_at = max(self.ended_at, time)
        self._last_source = source_id

    def branch(self, name: str | None) -> None:
        """Takes note of the branch of the current line."""
        self._branch = name or self._branch

    @property
    def current_branch(self) -> str | None:
        """The branch of the last line that named one."""
        return self._branch

    def titled(self, title: str) -> None:
        """Takes the name that the user gave to the session."""
        self._given_title = one_line(title, MAX_TITLE) or self._given_title

    @property
    def files_changed(self) -> tuple[str, ...]:
        """The files that edits changed so far, relative to the session's folder."""
        return tuple(self._changed)

    def turned(self) -> None:
        """Takes note that a turn is over: what was said last in it was its answer."""
        if self._last_said and (not self._turns or self._turns[-1] != self._last_said):
            self._turns.append(self._last_said)

    def asked(self, text: str) -> None:
        """Takes note of what the user asked for."""
        self.counts["requests"] += 1
        self._last_request = bounded(text, 2_000)
        if not self._first_request and not _BARE_COMMAND.fullmatch(text.strip()):
            self._first_request = bounded(text, 2_000)

    def said(self, text: str, author: str) -> None:
        """Takes note of what the assistant said."""
        self._last_said = bounded(text, 8_000)
        if author and len(self._models) < _MAX_NAMES:
            self._models[author] = None

    def called(self, call: ToolCall) -> None:
        """Takes note of a tool call."""
        if call.name in self._tools or len(self._tools) < _MAX_NAMES:
            self._tools[call.name] += 1
        if call.todos is not None:
            self._todos = OrderedDict((str(i), todo) for i, todo in enumerate(call.todos))
        elif call.task and call.task_id and call.task_id in self._todos:
            self._change_task(call.task_id, call.task)

    def ended(self, call: ToolCall | None, result: ToolResult) -> None:
        """Takes note of a tool's result."""
        if result.state == "failed":
            self.counts["failed_calls"] += 1
        if call is None:
            return
        if call.changed and result.state == "ok":
            self._commands.changed(call.changed)
            for path in call.changed:
                if path in self._changed or len(self._changed) < _MAX_FILES:
                    self._changed[path] = None
        if call.command:
            self._commands.ran(call.command, result)
            if commits := _COMMIT.findall(result.output[:20_000]):
                self._commit = commits[-1]
        if call.task and call.task_id is None and len(self._todos) < _MAX_TASKS:
            found = _TASK_NUMBER.search(result.output[:500])
            self._todos[found[1] if found else f"t{len(self._todos)}"] = call.task

    def _change_task(self, number: str, change: Todo) -> None:
        known = self._todos[number]
        if change.status == "deleted":
            del self._todos[number]
        else:
            self._todos[number] = Todo(change.text or known.text, change.status or known.status)

    @property
    def title(self) -> str:
        """The name given, else the first request, else what there is."""
        text = self._given_title or self._first_request or self._last_request or self._last_said
        folder = (self.session.cwd or "").rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
        fallback = f"{self.session.agent} session" + (f" in {folder}" if folder else "")
        return one_line(text, MAX_TITLE) or one_line(fallback, MAX_TITLE)

    def closing_checkpoint(self) -> CheckpointItem | None:
        """Returns the state at the end; None for a subagent, or if nothing was asked and said."""
        if "subagent" in self.session.metadata or not (self._last_request and self._last_said):
            return None
        parts = [f"Asked last: {bounded(self._last_request, 1_000)}"]
        if report := self._report():
            parts.append(f"Reported before: {bounded(report, 3_000)}")
        parts.append(f"Said last: {bounded(self._last_said, 3_000)}")
        if fixed := self._commands.fixed:
            parts.append("Fixed:\n" + "\n".join(f"- {item.sentence()}" for item in fixed[-10:]))
        done = tuple(todo.text for todo in self._todos.values() if todo.status == "completed")
        return CheckpointItem(
            id=derive_id(
                self.ended_at, "checkpoint", self.session.source_id, "end", self._last_source
            ),
            session_id=self.session.id,
            description="\n\n".join(parts),
            created_at=self.ended_at,
            next_steps=self._next_steps(),
            git_branch=self._branch,
            git_commit=self._commit,
            files_changed=self.files_changed,
            tasks_completed=done,
        )

    def _report(self) -> str:
        """Returns the fullest of the last turns' answers, if the very last one is short of it."""
        fullest = max(self._turns, key=len, default="")
        return fullest if len(fullest) >= 2 * len(self._last_said) else ""

    def _next_steps(self) -> str:
        doing = [todo.text for todo in self._todos.values() if todo.status == "in_progress"]
        pending = [todo.text for todo in self._todos.values() if todo.status == "pending"]
        named = next_steps(self._last_said) or next_steps(self._report())
        lines = [f"- in progress: {text}" for text in doing] + [f"- {text}" for text in pending]
        return "\n".join(part for part in (named, *lines) if part)

    def end(self) -> SessionEnd:
        """Returns what the session came to."""
        metadata: dict[str, JsonValue] = {
            "counts": dict(sorted(self.counts.items())),
            "tools": dict(self._tools.most_common()),
        }
        if self._models:
            metadata["models"] = list(self._models)
        if self._commit:
            metadata["git_commit"] = self._commit
        if self._commands.fixed:
            metadata["fixed"] = _newest([item.as_json() for item in self._commands.fixed])
        return SessionEnd(
            id=self.session.id,
            ended_at=self.ended_at,
            title=self.title,
            summary=self._summary(),
            files_changed=self.files_changed,
            metadata=metadata,
        )

    def _summary(self) -> str:
        first, last = self._first_request, self._last_request
        parts = [f"Asked: {one_line(first, 400)}"] if first else []
        if last and last != first:
            parts.append(f"Asked last: {one_line(last, 300)}")
        if self._last_said:
            parts.append(f"Ended with: {bounded(self._last_said, 900)}")
        return "\n".join(parts)


def _newest(entries: list[dict[str, JsonValue]]) -> list[JsonValue]:
    """Returns the last entries that fit into metadata, in order."""
    kept: list[JsonValue] = []
    room = _MAX_FIXED_BYTES
    for entry in reversed(entries):
        room -= len(json.dumps(entry, ensure_ascii=False).encode())
        if room < 0:
            break
        kept.insert(0, entry)
    return kept


def next_steps(text: str, limit: int = 1_500) -> str:
    """Returns the passage of a text that names what is left to do, if it has a line for it.

    The passage runs from that line to the next heading, or to a blank line after which no
    list goes on.
    """
    found = None
    for match in _NEXT_STEPS.finditer(text):
        found = match
    if found is None:
        return ""
    kept = [found[0].strip()]
    rest = text[found.end() :]
    # What stands on the line itself is the passage, unless a list follows.
    blank = rest.startswith("\n\n") and _INLINE.search(kept[0]) is not None
    for line in rest.lstrip("\n").splitlines():
        listed = re.match(r"\s*(?:[-*•]|\d+[.)])\s|\s{2,}\S", line) is not None
        if _HEADING.match(line) and not listed:
            break
        if line.strip():
            if blank and not listed:
                break
            kept.append(line)
        blank = not line.strip() and len(kept) > 1
    return bounded("\n".join(kept), limit)
