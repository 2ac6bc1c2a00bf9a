"""Transcripts of coding agents, read as sessions, messages and checkpoints.

`find_transcripts` finds the files, `read` yields what one of them holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from memory_core.errors import UnreadableTranscript
from memory_core.transcripts import claude, codex
from memory_core.transcripts.discover import (
    AgentChoice,
    Discovery,
    Skipped,
    Transcript,
    default_folders,
    detect,
    find_transcripts,
)
from memory_core.transcripts.items import (
    Agent,
    CheckpointItem,
    Item,
    Malformed,
    MessageItem,
    SessionEnd,
    SessionItem,
)

__all__ = [
    "Agent",
    "AgentChoice",
    "CheckpointItem",
    "Discovery",
    "Item",
    "Malformed",
    "MessageItem",
    "SessionEnd",
    "SessionItem",
    "Skipped",
    "Transcript",
    "default_folders",
    "detect",
    "find_transcripts",
    "read",
]


def read(path: Path, agent: AgentChoice = "auto", *, thinking: bool = True) -> Iterator[Item]:
    """Yields what a transcript holds, in order and in bounded memory.

    Each session's first item is its `SessionItem`, its last its `SessionEnd`. Reading the same
    file again yields the same ids; a file that has grown yields those it had and what is new.

    Raises:
        UnreadableTranscript: the file cannot be read, or is no known agent's transcript.
    """
    if agent == "auto":
        found = detect(path)
        if found is None:
            raise UnreadableTranscript(f"{path}: not a transcript of a known agent")
        agent = found[0]
    reader = claude.read if agent == "claude-code" else codex.read
    yield from reader(path, thinking=thinking)
