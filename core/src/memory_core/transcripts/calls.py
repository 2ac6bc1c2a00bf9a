"""Tool calls as short text that can be searched, and the facts that later rules need.

Knows the tools of Claude Code and Codex by name; any other tool is its name and arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from memory_core.transcripts.lines import Record, list_of, text_of
from memory_core.transcripts.text import bounded, clean, one_line, relative_to

MAX_NAME = 100
MAX_PATHS = 50
_CONTEXT_LINES = 3
_PATCH_FILE = re.compile(
    r"^\*\*\* (?:Add|Update|Delete) File: (.+)$|^\*\*\* Move to: (.+)$", re.MULTILINE
)
_TELLING_KEYS = ("query", "pattern", "url", "path", "file_path", "name", "description", "prompt")


class Todo(NamedTuple):
    """An entry of the agent's own task list; ``status`` as the agent names it."""

    text: str
    status: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call: its text, one telling line (``brief``), and what it says about the work.

    ``todos`` replaces the task list; ``task`` adds an entry (no ``task_id``) or changes one.
    """

    name: str
    text: str
    brief: str = ""
    command: str | None = None
    changed: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    todos: tuple[Todo, ...] | None = None
    task: Todo | None = None
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Parts:
    head: str = ""
    body: str = ""
    brief: str = ""
    command: str | None = None
    changed: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    todos: tuple[Todo, ...] | None = None
    task: Todo | None = None
    task_id: str | None = None


def describe_call(name: str, arguments: Record, cwd: str | None) -> ToolCall:
    """Returns the text of a call, at most `MAX_TOOL_TEXT` characters, and its facts.

    Paths below ``cwd`` are written relative to it.
    """
    shown = one_line(name, MAX_NAME) or "tool"
    parts = _KNOWN.get(name, _any_tool)(arguments)
    text = "\n".join(
        part for part in (f"{shown}: {parts.head}" if parts.head else shown, parts.body) if part
    )
    return ToolCall(
        name=shown,
        text=bounded(clean(relative_to(text, cwd))),
        brief=one_line(relative_to(parts.brief or parts.head, cwd), 160),
        command=parts.command,
        changed=_paths(parts.changed, cwd),
        read=_paths(parts.read, cwd),
        todos=parts.todos,
        task=parts.task,
        task_id=parts.task_id,
    )


def _paths(paths: tuple[str, ...], cwd: str | None) -> tuple[str, ...]:
    shown = (one_line(relative_to(path, cwd), 1024) for path in paths[:MAX_PATHS])
    return tuple(dict.fromkeys(path for path in shown if path))


def _shell(arguments: Record) -> _Parts:
    command = _command(arguments.get("command") or arguments.get("cmd"))
    if "*** Begin Patch" in command:
        return _patch_text(command)
    return _Parts(
        head=text_of(arguments, "description") or "",
        body=f"$ {command}" if command else "",
        brief=command,
        command=command or None,
    )


def _command(value: object) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    words = [str(word) for word in value]
    if len(words) == 3 and words[1] in {"-c", "-lc"}:
        return words[2]
    return " ".join(words)


def _read(arguments: Record) -> _Parts:
    path = text_of(arguments, "file_path") or text_of(arguments, "path") or ""
    start, count = arguments.get("offset"), arguments.get("limit")
    lines = f" from line {start}" if isinstance(start, int) else ""
    lines += f", {count} lines" if isinstance(count, int) else ""
    return _Parts(head=path + lines, brief=path, read=(path,))


def _search(arguments: Record) -> _Parts:
    pattern = text_of(arguments, "pattern") or ""
    places = [text_of(arguments, key) for key in ("path", "glob", "type")]
    where = " ".join(place for place in places if place)
    return _Parts(head=f"{pattern} in {where}" if where else pattern)


def _edit(arguments: Record) -> _Parts:
    path = text_of(arguments, "file_path") or text_of(arguments, "path") or ""
    edits: list[Record] = [e for e in list_of(arguments, "edits") if isinstance(e, dict)]
    hunks = [
        _hunk(text_of(edit, "old_string") or "", text_of(edit, "new_string") or "")
        for edit in edits or [arguments]
    ]
    return _Parts(head=path, body="\n…\n".join(hunks), changed=(path,))


def _hunk(old: str, new: str) -> str:
    """Returns the lines that differ, with a few of the same around them."""
    before, after = old.splitlines(), new.splitlines()
    same_head = _common(before, after)
    same_tail = _common(before[same_head:][::-1], after[same_head:][::-1])
    ends = len(before) - same_tail, len(after) - same_tail
    lines = [f"  {line}" for line in before[max(0, same_head - _CONTEXT_LINES) : same_head]]
    lines += [f"- {line}" for line in before[same_head : ends[0]]]
    lines += [f"+ {line}" for line in after[same_head : ends[1]]]
    lines += [f"  {line}" for line in before[ends[0] : ends[0] + _CONTEXT_LINES]]
    return "\n".join(lines)


def _common(left: list[str], right: list[str]) -> int:
    pairs = zip(left, right, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _write(arguments: Record) -> _Parts:
    path = text_of(arguments, "file_path") or text_of(arguments, "notebook_path") or ""
    content = text_of(arguments, "content") or text_of(arguments, "new_source") or ""
    count = len(content.splitlines())
    return _Parts(head=f"{path} ({count} lines)", body=content, brief=path, changed=(path,))


def _patch(arguments: Record) -> _Parts:
    return _patch_text(text_of(arguments, "input") or text_of(arguments, "patch") or "")


def _patch_text(patch: str) -> _Parts:
    paths = [found[1].strip() for found in _PATCH_FILE.finditer(patch)]
    start = patch.find("*** Begin Patch")
    end = patch.find("*** End Patch")
    body = patch[start + len("*** Begin Patch") if start >= 0 else 0 : end if end >= 0 else None]
    changed = tuple(dict.fromkeys(paths))
    return _Parts(head=", ".join(changed), body=body.strip("\n"), changed=changed)


def _agent(arguments: Record) -> _Parts:
    kind, description = text_of(arguments, "subagent_type"), text_of(arguments, "description")
    head = " — ".join(part for part in (kind, description) if part)
    return _Parts(head=head, body=text_of(arguments, "prompt") or "", brief=description or head)


def _todos(arguments: Record) -> _Parts:
    entries = list_of(arguments, "todos") or list_of(arguments, "plan")
    todos = tuple(
        Todo(
            one_line(text_of(entry, "content") or text_of(entry, "step") or "", 300),
            one_line(text_of(entry, "status") or "pending", 40),
        )
        for entry in entries[:200]
        if isinstance(entry, dict)
    )
    lines = [f"[{todo.status}] {todo.text}" for todo in todos if todo.text]
    head = text_of(arguments, "explanation") or ""
    return _Parts(head=head, body="\n".join(lines), todos=tuple(t for t in todos if t.text))


def _task_create(arguments: Record) -> _Parts:
    subject = one_line(text_of(arguments, "subject") or "", 300)
    task = Todo(subject, "pending") if subject else None
    return _Parts(head=subject, body=text_of(arguments, "description") or "", task=task)


def _task_update(arguments: Record) -> _Parts:
    number = arguments.get("taskId")
    status = one_line(text_of(arguments, "status") or "", 40)
    subject = one_line(text_of(arguments, "subject") or "", 300)
    head = " ".join(part for part in (f"#{number}" if number else "", status, subject) if part)
    return _Parts(
        head=one_line(head, 400),
        task=Todo(subject, status),
        task_id=one_line(str(number), 40) if number else None,
    )


def _questions(arguments: Record) -> _Parts:
    lines: list[str] = []
    for item in list_of(arguments, "questions"):
        if not isinstance(item, dict):
            continue
        labels = [option for option in list_of(item, "options") if isinstance(option, dict)]
        offered = " / ".join(label for option in labels if (label := text_of(option, "label")))
        asked = text_of(item, "question") or text_of(item, "header") or ""
        lines.append(f"{asked} ({offered})" if offered else asked)
    return _Parts(body="\n".join(lines), brief=lines[0] if lines else "")


def _plan(arguments: Record) -> _Parts:
    return _Parts(body=text_of(arguments, "plan") or "")


def _any_tool(arguments: Record) -> _Parts:
    lines = [
        f"{one_line(key, 100)}: {_value(value)}" for key, value in list(arguments.items())[:40]
    ]
    telling = (text_of(arguments, key) for key in _TELLING_KEYS)
    return _Parts(body="\n".join(lines), brief=next((text for text in telling if text), ""))


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return bounded(text, 1_500)


_KNOWN: dict[str, Callable[[Record], _Parts]] = {
    **dict.fromkeys(("Bash", "shell", "shell_command", "exec_command"), _shell),
    **dict.fromkeys(("local_shell", "local_shell_call", "container.exec"), _shell),
    **dict.fromkeys(("Read", "NotebookRead", "view_image"), _read),
    **dict.fromkeys(("Glob", "Grep", "LS"), _search),
    **dict.fromkeys(("Edit", "MultiEdit"), _edit),
    **dict.fromkeys(("Write", "NotebookEdit"), _write),
    **dict.fromkeys(("Task", "Agent"), _agent),
    **dict.fromkeys(("TodoWrite", "update_plan"), _todos),
    "apply_patch": _patch,
    "TaskCreate": _task_create,
    "TaskUpdate": _task_update,
    "AskUserQuestion": _questions,
    "ExitPlanMode": _plan,
}
