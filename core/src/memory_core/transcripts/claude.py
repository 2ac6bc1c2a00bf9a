"""Reads Claude Code transcripts.

A line of the transcript holds one block of an API message, and has its own uuid. Here
consecutive text blocks of one API message are joined; each tool call, tool result and thought
is a message of its own under the uuid of its line, so that every line that says something can
be found by its uuid. A joined message has the uuid of its first line, and its id covers the
uuids of all, so that a text that had only begun when it was first read is not taken for the
whole.

Subagents, in their own file or as sidechain lines of the main file, are sessions of their own
with the main session as parent. The agents that Claude Code runs for itself (compaction,
prompt suggestions, side questions) are left out: what compaction wrote stands in the main file.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from memory_core.clock import EPOCH
from memory_core.errors import UnreadableTranscript
from memory_core.ids import derive_id
from memory_core.transcripts.items import Agent, Item, Malformed, SessionItem
from memory_core.transcripts.lines import BadLine, Line, Record, read_lines, record_of, text_of
from memory_core.transcripts.results import claude_result, content_text
from memory_core.transcripts.said import compaction_summary, summary_text, user_text
from memory_core.transcripts.text import one_line
from memory_core.transcripts.writing import OpenSession, Place, branch_of, folder_of, time_of

AGENT: Agent = "claude-code"
_MAX_OPEN_SESSIONS = 256
_MAX_REMEMBERED = 100_000
_HEAD_LINES = 2_000
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_OWN_AGENTS = ("acompact-", "aprompt_suggestion-", "aside_question-")
_SYNTHETIC = "<synthetic>"
_MAX_JOINED = 100
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(slots=True)
class _Pending:
    """Text blocks of one API message, still being joined."""

    message_id: str
    place: Place
    texts: list[str]
    joined: list[str] = field(default_factory=list)


class _Session(OpenSession):
    pending: _Pending | None = None

    def flush(self) -> Iterator[Item]:
        pending, self.pending = self.pending, None
        if pending:
            text = "\n\n".join(pending.texts)
            yield from self.said_by_assistant(text, pending.place, pending.joined)


def read(path: Path, *, thinking: bool = True) -> Iterator[Item]:
    """Yields what a Claude Code transcript holds, line by line, in bounded memory.

    ``thinking`` also yields the model's thoughts, as messages that begin with ``(thinking)``.

    Raises:
        UnreadableTranscript: the file cannot be opened or read.
    """
    reader = _Reader(path, thinking=thinking)
    for line in read_lines(path):
        if isinstance(line, BadLine):
            yield Malformed(str(path), line.number, line.reason)
            continue
        try:
            yield from reader.line(line)
        except RecursionError:
            yield Malformed(str(path), line.number, "the JSON is nested too deeply")
    yield from reader.end()


class _Reader:
    def __init__(self, path: Path, *, thinking: bool) -> None:
        self._path = path
        self._thinking = thinking
        self._sessions: OrderedDict[tuple[str, str], _Session] = OrderedDict()
        self._starts: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._roots: OrderedDict[str, str] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._source = one_line(path.stem, 200) or "session"

    def line(self, line: Line) -> Iterator[Item]:
        record = line.record
        named = one_line(text_of(record, "sessionId") or "", 200)
        self._source = named or self._source
        key = (self._source, self._agent(record))
        if named and key not in self._starts and (begun := time_of(record)):
            self._started(key, begun)
        kind = text_of(record, "type")
        if key[1].startswith(_OWN_AGENTS) or record.get("isMeta") is True:
            return
        if kind in {"user", "assistant", "attachment"}:
            source = one_line(text_of(record, "uuid") or "", 200) or f"line-{line.number}"
            if _remember(self._seen, source, None):
                return
            time = time_of(record)
            session = self._session(key, record, time)
            yield from self._make_room()
            session.digest.branch(branch_of(text_of(record, "gitBranch")))
            if kind == "assistant":
                yield from self._assistant(session, record, source, time)
            else:
                yield from self._user(session, record, session.place(source, time))
        elif kind == "custom-title" and key in self._sessions:
            self._sessions[key].digest.titled(text_of(record, "customTitle") or "")

    def end(self) -> Iterator[Item]:
        while self._sessions:
            yield from self._close(next(iter(self._sessions)))

    def _close(self, key: tuple[str, str]) -> Iterator[Item]:
        session = self._sessions.pop(key)
        yield from session.flush()
        yield from session.close()

    def _started(self, key: tuple[str, str], time: str) -> None:
        _remember(self._starts, key, time)

    def _agent(self, record: Record) -> str:
        """Returns whose line it is: empty for the main session, else a name for the subagent."""
        if record.get("isSidechain") is not True:
            return ""
        if named := text_of(record, "agentId"):
            return one_line(named, 200)
        # Older transcripts name no agent: a sidechain is then known by its first line.
        uuid, parent = text_of(record, "uuid") or "", text_of(record, "parentUuid") or ""
        root = self._roots.get(parent) or one_line(uuid, 200) or "sidechain"
        _remember(self._roots, uuid, root)
        return root

    def _session(self, key: tuple[str, str], record: Record, time: str | None) -> _Session:
        if key in self._sessions:
            self._sessions.move_to_end(key)
            return self._sessions[key]
        source, agent = key
        self._started(key, time or EPOCH)
        started = self._starts[key]
        source_id = f"{source}/{agent}" if agent else source
        version = one_line(text_of(record, "version") or "", 60)
        metadata: dict[str, JsonValue] = {"agent_version": version} if version else {}
        session = _Session(
            SessionItem(
                id=derive_id(started, "session", AGENT, source, *([agent] if agent else [])),
                source_id=source_id,
                agent=AGENT,
                cwd=folder_of(record),
                git_branch=branch_of(text_of(record, "gitBranch")),
                started_at=started,
                parent_id=self._parent_id(source) if agent else None,
                metadata=metadata | ({"subagent": agent} if agent else {}),
            )
        )
        self._sessions[key] = session
        return session

    def _parent_id(self, source: str) -> str | None:
        key = (source, "")
        if key not in self._starts:
            started = _start_in_main_file(self._path, source)
            if started is None:
                return None
            self._started(key, started)
        return derive_id(self._starts[key], "session", AGENT, source)

    def _make_room(self) -> Iterator[Item]:
        if len(self._sessions) > _MAX_OPEN_SESSIONS:
            longest_idle = next(key for key in self._sessions if key[1])
            yield from self._close(longest_idle)

    def _assistant(
        self, session: _Session, record: Record, source: str, time: str | None
    ) -> Iterator[Item]:
        message = record_of(record, "message")
        author = one_line(text_of(message, "model") or "", 100)
        if author == _SYNTHETIC or record.get("isApiErrorMessage") is True:
            return
        line = session.place(source, time, author)
        message_id = text_of(message, "id") or source
        for block, part in _blocks(message):
            place = line._replace(part=part)
            kind = text_of(block, "type")
            if kind == "text":
                yield from _join(session, text_of(block, "text") or "", message_id, place)
            elif kind == "thinking" and self._thinking:
                yield from session.flush()
                yield from session.thought(text_of(block, "thinking") or "", place)
            elif kind in _CALLS:
                yield from session.flush()
                name, call_id = text_of(block, "name") or "tool", text_of(block, "id") or source
                yield from session.called(name, record_of(block, "input"), call_id, place)
            elif "tool_use_id" in block:
                yield from session.flush()
                yield from _result(session, block, {}, place)

    def _user(self, session: _Session, record: Record, line: Place) -> Iterator[Item]:
        yield from session.flush()
        message = record_of(record, "message")
        if attached := record_of(record, "attachment"):
            # What the user typed while the agent was at work; other attachments are context.
            if attached.get("type") != "queued_command":
                return
            message = {"content": attached.get("prompt")}
        texts: list[str] = []
        place = line
        for block, part in _blocks(message):
            if block.get("type") == "tool_result":
                extra = record_of(record, "toolUseResult")
                yield from _result(session, block, extra, line._replace(part=part))
                place = line._replace(part=("text",))
            else:
                texts.append(content_text(block))
        raw = "\n".join(text for text in texts if text)
        summary = compaction_summary(raw)
        if summary is None and record.get("isCompactSummary") is True:
            summary = summary_text(raw)
        if summary is not None:
            yield from session.compacted(summary, place)
        elif said := user_text(raw):
            yield from session.said_by_user(said, place)


def _join(session: _Session, text: str, message_id: str, place: Place) -> Iterator[Item]:
    if not text.strip():
        return
    pending = session.pending
    if pending and pending.message_id == message_id and len(pending.texts) < _MAX_JOINED:
        pending.texts.append(text)
        if place.source != pending.place.source:
            pending.joined.append(place.source)
        return
    yield from session.flush()
    session.pending = _Pending(message_id, place, [text])


def _result(session: _Session, block: Record, extra: Record, place: Place) -> Iterator[Item]:
    call = session.call(text_of(block, "tool_use_id") or "")
    yield from session.returned(call, claude_result(block, extra, call, session.folder), place)


def _blocks(message: Record) -> Iterator[tuple[Record, tuple[str, ...]]]:
    """Yields each content block with what tells it from others of its line (first: nothing)."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else [content]
    for number, block in enumerate(blocks):
        part = (str(number),) if number else ()
        if isinstance(block, str):
            yield {"type": "text", "text": block}, part
        elif isinstance(block, dict):
            yield block, part


def _remember(known: OrderedDict[K, T], key: K, value: T) -> bool:
    """Adds an entry, forgetting the oldest above the limit; True if it was there already."""
    if key in known:
        return True
    known[key] = value
    if len(known) > _MAX_REMEMBERED:
        known.popitem(last=False)
    return False


def _start_in_main_file(path: Path, source: str) -> str | None:
    """Returns when the session of a subagent's file began, if its main file is near.

    It lies beside the subagent's file, or beside a folder of the session's name above it.
    """
    if not _SAFE_NAME.fullmatch(source):
        return None
    for folder in list(path.absolute().parents)[:4]:
        main = folder / f"{source}.jsonl"
        if main.name != path.name and main.is_file():
            with suppress(UnreadableTranscript):
                return _first_time(main, source)
    return None


def _first_time(main: Path, source: str) -> str | None:
    for line in islice(read_lines(main), _HEAD_LINES):
        if isinstance(line, BadLine):
            continue
        record = line.record
        if text_of(record, "sessionId") == source and record.get("isSidechain") is not True:
            time = time_of(record)
            if time:
                return time
    return None
