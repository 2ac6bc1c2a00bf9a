"""Tool results as short text that can be searched, with the state the tool ended in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from memory_core.transcripts.calls import ToolCall
from memory_core.transcripts.lines import Record, record_of, text_of
from memory_core.transcripts.text import (
    block,
    bounded,
    clean,
    left_out_data,
    relative_to,
    without_line_numbers,
)

State: TypeAlias = Literal["ok", "failed", "rejected", "interrupted", "background"]

_EXIT_LINE = re.compile(r"\AExit code:? (-?\d{1,10})\s*")
_CODEX_HEAD = re.compile(
    r"\A(?:(?:Chunk ID|Wall time|Original token count|Total output lines|Command|Exit code|"
    r"Process exited with code|Process running with session ID)\b.*\n){1,8}(?:Output:\n?)?"
)
_CODEX_EXIT = re.compile(r"^(?:Exit code:|Process exited with code) (-?\d{1,10})$", re.MULTILINE)
_REJECTED = re.compile(r"\AThe user doesn't want to (?:proceed with|take) this")
_BACKGROUND = re.compile(r"\ACommand (?:running in|was (?:manually )?moved to the) background")
_LISTINGS = frozenset({"Read", "NotebookRead", "Edit", "MultiEdit", "Write", "NotebookEdit"})
_EDITS = frozenset({"Edit", "MultiEdit", "Write", "NotebookEdit"})


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A result: its text, how it ended, and its cleaned output for the rules."""

    text: str
    state: State
    exit_code: int | None
    output: str


def claude_result(
    content: Record, extra: Record, call: ToolCall | None, cwd: str | None
) -> ToolResult:
    """Returns the result that a ``tool_result`` block and its line's ``toolUseResult`` tell."""
    output = content_text(content.get("content"))
    failed = content.get("is_error") is True
    code: int | None = None
    if found := _EXIT_LINE.match(output):
        code, output = int(found[1]), output[found.end() :]
    output = block(output, "tool_use_error") or output
    state: State = "failed" if failed or code else "ok"
    if _REJECTED.match(output):
        state = "rejected"
    elif extra.get("interrupted") is True:
        state = "interrupted"
    elif text_of(extra, "backgroundTaskId") or _BACKGROUND.match(output):
        state = "background"
    if code is None and state == "ok" and call and call.command:
        code = 0
    return _result(call, output, state, code, cwd)


def codex_result(output: object, call: ToolCall | None, cwd: str | None) -> ToolResult:
    """Returns the result that the ``output`` of a Codex call tells, in any of its forms."""
    text = content_text(output)
    code: int | None = None
    failed = isinstance(output, dict) and output.get("success") is False
    if (decoded := _decoded(text)) is not None:
        text = content_text(decoded.get("output"))
        exit_code = record_of(decoded, "metadata").get("exit_code")
        code = exit_code if isinstance(exit_code, int) else None
    elif head := _CODEX_HEAD.match(text):
        found = _CODEX_EXIT.search(head[0])
        code = int(found[1]) if found else None
        text = text[head.end() :]
    return _result(call, text, "failed" if failed or code else "ok", code, cwd)


def _decoded(text: str) -> Record | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and "output" in value else None


def content_text(content: object) -> str:
    """Returns the text of a string, of a list of content blocks, or of one block.

    Images and documents become a note with their kind and size.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part for part in map(content_text, content) if part)
    if not isinstance(content, dict):
        return ""
    for key in ("text", "content", "output"):
        if isinstance(content.get(key), str | list):
            return content_text(content[key])
    source = record_of(content, "source")
    data = text_of(source, "data") or text_of(content, "image_url") or ""
    kind = text_of(source, "media_type") or text_of(content, "type") or "content"
    return left_out_data(kind[:60], len(data)) if data else ""


def _result(
    call: ToolCall | None, output: str, state: State, code: int | None, cwd: str | None
) -> ToolResult:
    cleaned = clean(relative_to(output, cwd))
    name = call.name if call else "tool"
    if name in _LISTINGS:
        cleaned = without_line_numbers(cleaned)
    body = cleaned
    if name in _EDITS and state == "ok":
        # The call before it holds the change; what follows the first line repeats the file.
        body = ""
    ended = f"exit {code}" if code is not None and state in {"ok", "failed"} else state
    head = f"{name} {call.brief}".rstrip() if call else name
    return ToolResult(bounded(f"{head} → {ended}\n{body}".rstrip()), state, code, cleaned)
