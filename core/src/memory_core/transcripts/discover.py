"""Finds transcripts: by what is in a file, not by its name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from memory_core.clock import from_datetime, to_datetime
from memory_core.errors import UnreadableTranscript
from memory_core.transcripts.items import Agent
from memory_core.transcripts.lines import BadLine, Record, read_lines, text_of

AgentChoice: TypeAlias = Literal["auto", "claude-code", "codex"]

# The kinds of line that begin a transcript stand in its first lines.
_HEAD_LINES = 50
_HEAD_LINE_BYTES = 4 * 1024 * 1024
_SUFFIX = ".jsonl"


@dataclass(frozen=True, slots=True)
class Transcript:
    """A file that holds a session: ``size`` in bytes, ``modified`` as a canonical time."""

    path: Path
    agent: Agent
    subagent: bool
    size: int
    modified: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that was looked at and left out; ``named`` if it was asked for by name."""

    path: Path
    reason: str
    named: bool = False


@dataclass(slots=True)
class Discovery:
    """What was found, main files before their subagents, and what was left out."""

    transcripts: list[Transcript] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def default_folders(environ: Mapping[str, str], home: Path | None = None) -> list[Path]:
    """Returns the folders where Claude Code and Codex keep their transcripts.

    ``CLAUDE_CONFIG_DIR`` and ``CODEX_HOME`` of ``environ`` move them, as they do for the tools.
    """
    base = home or Path.home()
    claude = Path(environ.get("CLAUDE_CONFIG_DIR") or base / ".claude")
    codex = Path(environ.get("CODEX_HOME") or base / ".codex")
    return [claude / "projects", codex / "sessions"]


def find_transcripts(
    paths: Iterable[Path],
    *,
    agent: AgentChoice = "auto",
    since: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Discovery:
    """Looks for transcripts in files and, recursively, folders.

    Without paths the default folders are searched as far as they exist. A folder's files are
    looked at if they end in ``.jsonl``; a file given by name is looked at in any case.

    Args:
        paths: files and folders.
        agent: ``auto``, or the one agent whose transcripts are wanted.
        since: leaves out files that were last written before this time.
        environ: where the default folders are (`default_folders`).

    Raises:
        InvalidTime: ``since`` is not RFC 3339 with a zone.
    """
    oldest = to_datetime(since) if since else None
    given = list(paths)
    found = Discovery()
    seen: set[tuple[int, int]] = set()
    for path in given or [f for f in default_folders(environ or {}) if f.is_dir()]:
        for candidate, named in _candidates(path, found.skipped):
            try:
                transcript = _look_at(candidate, oldest, seen)
            except (UnreadableTranscript, OSError, ValueError) as error:
                found.skipped.append(Skipped(candidate, _reason(error), named))
                continue
            if transcript and agent in {"auto", transcript.agent}:
                found.transcripts.append(transcript)
            elif transcript and named:
                reason = f"a transcript of {transcript.agent}, not of {agent}"
                found.skipped.append(Skipped(candidate, reason, named))
    found.transcripts.sort(key=_order)
    return found


def detect(path: Path) -> tuple[Agent, bool] | None:
    """Returns whose transcript a file is and whether it is a subagent's; None for neither.

    Raises:
        UnreadableTranscript: the file cannot be opened or read.
    """
    head = islice(read_lines(path, max_line_bytes=_HEAD_LINE_BYTES), _HEAD_LINES)
    for line in head:
        if isinstance(line, BadLine):
            continue
        if _is_codex(line.record):
            return "codex", False
        if _is_claude(line.record):
            return "claude-code", line.record.get("isSidechain") is True
    return None


def _is_codex(record: Record) -> bool:
    if isinstance(record.get("payload"), dict):
        kinds = {"session_meta", "response_item", "event_msg", "turn_context"}
        return text_of(record, "type") in kinds
    # The first versions began with the session's own line, without an envelope.
    return {"id", "timestamp", "instructions"} <= record.keys() and "type" not in record


def _is_claude(record: Record) -> bool:
    kind = text_of(record, "type")
    return (
        text_of(record, "sessionId") is not None
        and kind in {"user", "assistant", "progress", "system", "attachment"}
        and ("message" in record or "uuid" in record)
    )


def _look_at(path: Path, oldest: datetime | None, seen: set[tuple[int, int]]) -> Transcript | None:
    """Returns a file's transcript; None if it was looked at before or is older than asked."""
    status = path.stat()
    if (status.st_dev, status.st_ino) in seen:
        return None
    seen.add((status.st_dev, status.st_ino))
    # Opening a pipe or a device would wait, or never end.
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableTranscript("not a regular file")
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    if oldest and modified < oldest:
        return None
    kind = detect(path)
    if kind is None:
        raise UnreadableTranscript("not a transcript of a known agent")
    return Transcript(path, *kind, status.st_size, from_datetime(modified))


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _candidates(path: Path, skipped: list[Skipped]) -> Iterator[tuple[Path, bool]]:
    """Yields ``(file, named)``; each folder once, also where links form a loop."""
    if not path.is_dir():
        yield path, True
        return
    visited: set[tuple[int, int]] = set()
    folders = [path]
    while folders:
        folder = folders.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
            for entry in entries:
                if _is_folder(entry):
                    folders.append(folder / entry.name)
                elif entry.name.endswith(_SUFFIX):
                    yield folder / entry.name, False
        except OSError as error:
            skipped.append(Skipped(folder, _reason(error)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself.
        return False


def _order(transcript: Transcript) -> tuple[str, bool, str]:
    """Sorts by session: a main file, then the subagents in the folder of its name."""
    path = transcript.path
    if transcript.subagent:
        above = next((p for p in path.parents if p.name == "subagents"), None)
        session = above.parent if above else path.parent
        return str(session), True, str(path)
    return str(path.with_suffix("")), False, str(path)
