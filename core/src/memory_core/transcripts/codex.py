"""Reads Codex rollouts.

The text of a turn stands twice in a rollout, as ``response_item`` and as ``event_msg``: the
first is read. Lines have no ids of their own, so a message's ``source_id`` is the session's id
and the line's number, which stay the same as the file grows.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from memory_core.clock import EPOCH, from_datetime
from memory_core.ids import derive_id
from memory_core.transcripts.items import Agent, Item, Malformed, SessionItem
from memory_core.transcripts.lines import (
    BadLine,
    Line,
    Record,
    list_of,
    read_lines,
    record_of,
    text_of,
)
from memory_core.transcripts.results import codex_result, content_text
from memory_core.transcripts.said import summary_text, user_text
from memory_core.transcripts.text import one_line
from memory_core.transcripts.writing import OpenSession, Place, branch_of, folder_of, time_of

AGENT: Agent = "codex"
# What Codex writes into the user's role; the user did not say it.
_SYNTHETIC = re.compile(
    r"\s*(?:# AGENTS\.md instructions for|<(?:environment_context|user_instructions|"
    r"permissions instructions|turn_aborted|skill|INSTRUCTIONS|collaboration_mode|"
    r"subagent_notification|personality_spec|apps_instructions|skills_instructions)\b)"
)
_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call", "web_search_call"})
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_READ = {"message", "reasoning"} | _CALLS | _OUTPUTS


def read(path: Path, *, thinking: bool = True) -> Iterator[Item]:
    """Yields what a Codex rollout holds, line by line, in bounded memory.

    ``thinking`` also yields the summaries of the model's reasoning, as messages that begin
    with ``(thinking)``.

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
        self._thinking = thinking
        self._fallback = one_line(path.stem, 200) or "session"
        self._session: OpenSession | None = None
        self._model = ""

    def line(self, line: Line) -> Iterator[Item]:
        record = line.record
        kind = text_of(record, "type")
        payload = record_of(record, "payload")
        time = time_of(record)
        if kind == "session_meta":
            # A resumed or forked rollout repeats the line of the session it came from.
            if self._session is None:
                self._session = _open(payload, time, self._fallback)
            return
        if self._session is None:
            self._session = _open(record if "payload" not in record else {}, time, self._fallback)
        session = self._session
        source = f"{session.item.source_id}:{line.number}"
        if kind == "turn_context":
            self._model = one_line(text_of(payload, "model") or "", 100) or self._model
            session.folder = folder_of(payload) or session.folder
        elif kind == "compacted":
            summary = summary_text(text_of(payload, "message") or "")
            yield from session.compacted(summary, session.place(source, time))
        elif kind == "response_item" or "payload" not in record:
            # The first versions wrote the items without the envelope.
            item = payload if kind == "response_item" else record
            yield from self._item(session, item, source, time)

    def end(self) -> Iterator[Item]:
        if self._session:
            yield from self._session.close()

    def _item(
        self, session: OpenSession, item: Record, source: str, time: str | None
    ) -> Iterator[Item]:
        kind = text_of(item, "type") or ("message" if "role" in item else None)
        if kind not in _READ:
            return
        place = session.place(source, time, self._model)
        call_id = text_of(item, "call_id") or text_of(item, "id") or source
        if kind == "message":
            yield from _message(session, item, place)
        elif kind in _CALLS:
            name = text_of(item, "name") or kind
            yield from session.called(name, _arguments(item), call_id, place)
        elif kind in _OUTPUTS:
            call = session.call(call_id)
            result = codex_result(item.get("output"), call, session.folder)
            yield from session.returned(call, result, place)
        elif self._thinking:
            yield from session.thought(content_text(list_of(item, "summary")), place)


def _message(session: OpenSession, item: Record, place: Place) -> Iterator[Item]:
    role = item.get("role")
    if role == "assistant":
        yield from session.said_by_assistant(content_text(item.get("content")), place)
    elif role == "user":
        content = item.get("content")
        parts = content if isinstance(content, list) else [content]
        texts = [text for text in map(content_text, parts) if not _SYNTHETIC.match(text)]
        if said := user_text("\n".join(text for text in texts if text)):
            yield from session.said_by_user(said, place)


def _arguments(item: Record) -> Record:
    """Returns the arguments of a call, which come as an object or as JSON text."""
    for key in ("arguments", "input", "action"):
        value = item.get(key)
        if isinstance(value, dict):
            return value
        if isinstance(value, str):
            try:
                decoded = json.loads(value) if value.startswith("{") else None
            except (ValueError, RecursionError):
                decoded = None
            return decoded if isinstance(decoded, dict) else {"input": value}
    return {}


def _open(meta: Record, time: str | None, fallback: str) -> OpenSession:
    source = one_line(text_of(meta, "id") or text_of(meta, "session_id") or fallback, 200)
    started = time_of(meta) or time or EPOCH
    git = record_of(meta, "git")
    told: dict[str, str | None] = {
        "agent_version": text_of(meta, "cli_version"),
        "git_remote": text_of(git, "repository_url"),
        "git_commit": text_of(git, "commit_hash"),
    }
    metadata: dict[str, JsonValue] = {
        key: one_line(value, 500) for key, value in told.items() if value
    }
    parent_id = None
    if (parent := _parent(meta)) and parent != source:
        metadata["subagent"] = source
        if parent_time := _id_time(parent):
            parent_id = derive_id(parent_time, "session", AGENT, parent)
    return OpenSession(
        SessionItem(
            # A child has to know its parent's id from the parent's own id alone.
            id=derive_id(_id_time(source) or started, "session", AGENT, source),
            source_id=source,
            agent=AGENT,
            cwd=folder_of(meta),
            git_branch=branch_of(text_of(git, "branch")),
            started_at=started,
            parent_id=parent_id,
            metadata=metadata,
        )
    )


def _id_time(source: str) -> str | None:
    """Returns the time inside an id that is a UUIDv7 (RFC 9562), as Codex makes them."""
    try:
        value = uuid.UUID(source)
        if value.version == 7:
            return from_datetime(datetime.fromtimestamp((value.int >> 80) / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _parent(meta: Record) -> str | None:
    """Returns the id of the session that started this one as its subagent."""
    spawn = record_of(record_of(record_of(meta, "source"), "subagent"), "thread_spawn")
    parent = text_of(spawn, "parent_thread_id") or text_of(meta, "parent_thread_id")
    return one_line(parent, 200) if parent else None
