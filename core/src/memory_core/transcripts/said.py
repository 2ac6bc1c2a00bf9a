"""What a user's line in a transcript is: a request, or something the harness wrote there."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

from memory_core.transcripts.text import MAX_SAID_TEXT, block, bounded, clean, without_blocks

Origin: TypeAlias = Literal["request", "aside", "tool"]

_COMPACTED = "This session is being continued from a previous conversation that ran out of context"
_COMPACTED_TAIL = re.compile(
    r"(?<!\n)\n+(?:If you need specific details from before compaction|"
    r"Please continue the conversation from where we left)[\s\S]*\Z"
)
_INTERRUPTED = re.compile(r"\[Request interrupted by user[^\]\n]{0,60}\]")


class Said(NamedTuple):
    """A user's line. An ``aside`` is shown but asks for nothing; a ``tool`` said it itself."""

    origin: Origin
    text: str
    tool_name: str | None = None


def user_text(raw: str) -> Said | None:
    """Returns what the text of a user's line says, or None if nothing is left of it."""
    if "<" in raw:
        if "<task-notification>" in raw and (notice := block(raw, "task-notification")):
            summary = block(notice, "summary") or block(notice, "status") or ""
            result = block(notice, "result") or ""
            text = bounded(clean("\n".join(part for part in (summary, result) if part)))
            return Said("tool", text, "task-notification") if text else None
        if "<command-name>" in raw:
            return _command(raw)
        if "<bash-" in raw or "<local-command-stdout>" in raw or "<local-command-stderr>" in raw:
            return _local_output(raw)
        raw = without_blocks(raw, "ide_opened_file")
    text = bounded(clean(raw), MAX_SAID_TEXT)
    if not text:
        return None
    return Said("aside" if _INTERRUPTED.fullmatch(text) else "request", text)


def _command(raw: str) -> Said | None:
    name = clean(block(raw, "command-name") or "").strip()
    arguments = clean(block(raw, "command-args") or "").strip()
    text = bounded(f"{name} {arguments}".strip(), MAX_SAID_TEXT)
    return Said("request" if arguments else "aside", text) if text else None


def _local_output(raw: str) -> Said | None:
    if typed := clean(block(raw, "bash-input") or ""):
        return Said("aside", bounded(f"$ {typed}"))
    names = ("bash-stdout", "bash-stderr", "local-command-stdout", "local-command-stderr")
    parts = [clean(block(raw, name) or "") for name in names]
    text = bounded("\n".join(part for part in parts if part))
    return Said("tool", text, "local-command") if text else None


def compaction_summary(raw: str) -> str | None:
    """Returns the summary in a line that continues a compacted conversation, else None."""
    text = raw.lstrip()
    if not text.startswith(_COMPACTED):
        return None
    return summary_text(text.split("\n", 1)[1] if "\n" in text else "")


def summary_text(raw: str) -> str:
    """Returns a compaction summary without the harness's instructions around it."""
    return bounded(clean(_COMPACTED_TAIL.sub("", raw)), MAX_SAID_TEXT)
