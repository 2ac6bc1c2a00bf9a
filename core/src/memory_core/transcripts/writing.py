"""What both readers share: one open session that turns what was read into items."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from memory_core.clock import parse_time
from memory_core.errors import InvalidTime
from memory_core.ids import derive_id
from memory_core.transcripts.calls import ToolCall, describe_call
from memory_core.transcripts.derive import Digest, next_steps
from memory_core.transcripts.items import CheckpointItem, Item, MessageItem, Role, SessionItem
from memory_core.transcripts.lines import Record, text_of
from memory_core.transcripts.results import ToolResult
from memory_core.transcripts.said import Said
from memory_core.transcripts.text import MAX_SAID_TEXT, bounded, clean, one_line

_MAX_OPEN_CALLS = 1_000
_MAX_PATH = 4_096
THOUGHT_MARK = "(thinking) "


def time_of(record: Record, key: str = "timestamp") -> str | None:
    """Returns the canonical form of a time field, else None."""
    value = text_of(record, key)
    if value is None:
        return None
    try:
        return parse_time(value)
    except InvalidTime:
        return None


def folder_of(record: Record, key: str = "cwd") -> str | None:
    """Returns a recorded folder, or None if it cannot be a path."""
    value = text_of(record, key)
    if value is None or len(value) > _MAX_PATH or not value.isprintable():
        return None
    return value


def branch_of(name: str | None) -> str | None:
    """Returns a branch name; a detached head has none."""
    return None if name in {None, "HEAD"} else one_line(name or "", 250) or None


class Place(NamedTuple):
    """Where and when something was said, and by which model.

    ``source`` is the line's id, ``part`` tells apart what one line says more than once.
    """

    source: str
    at: str
    author: str = ""
    part: tuple[str, ...] = ()


class OpenSession:
    """A session being read: its calls without result, and its digest.

    The session announces itself with its first message, so one in which nothing was said
    yields nothing.
    """

    def __init__(self, item: SessionItem) -> None:
        self.item = item
        self.digest = Digest(item)
        self.folder = item.cwd
        self._announced = False
        self._time = item.started_at
        self._calls: OrderedDict[str, ToolCall] = OrderedDict()

    def place(self, source: str, time: str | None, author: str = "") -> Place:
        """Returns the place of a line; one without a time has that of the line before."""
        self._time = time or self._time
        self.digest.at(self._time, source)
        return Place(source, self._time, author)

    def said_by_user(self, said: Said, place: Place) -> Iterator[Item]:
        """Yields what stands in a user's line."""
        self.digest.turned()
        if said.origin == "tool":
            yield from self._message("tool", said.text, place, tool_name=said.tool_name)
            return
        if said.origin == "request":
            self.digest.asked(said.text)
        yield from self._message("user", said.text, place)

    def said_by_assistant(
        self, raw: str, place: Place, joined: Sequence[str] = ()
    ) -> Iterator[Item]:
        """Yields the assistant's text; ``joined`` names the further lines it was joined from."""
        text = bounded(clean(raw), MAX_SAID_TEXT)
        if not text:
            return
        self.digest.said(text, place.author)
        metadata: dict[str, JsonValue] = {"source_ids": [place.source, *joined]} if joined else {}
        whole = place._replace(part=(*place.part, *joined))
        yield from self._message("assistant", text, whole, metadata=metadata)

    def thought(self, raw: str, place: Place) -> Iterator[Item]:
        """Yields a thought, marked as such."""
        if text := bounded(clean(raw), MAX_SAID_TEXT):
            marked = THOUGHT_MARK + text
            yield from self._message("assistant", marked, place, metadata={"thinking": True})

    def called(self, name: str, arguments: Record, call_id: str, place: Place) -> Iterator[Item]:
        """Yields a tool call and keeps it for its result."""
        call = describe_call(name, arguments, self.folder)
        self._calls[call_id] = call
        if len(self._calls) > _MAX_OPEN_CALLS:
            self._calls.popitem(last=False)
        self.digest.called(call)
        yield from self._message("assistant", call.text, place, tool_name=call.name)

    def call(self, call_id: str) -> ToolCall | None:
        """Returns the call that a result belongs to, if it was seen."""
        return self._calls.pop(call_id, None)

    def returned(self, call: ToolCall | None, result: ToolResult, place: Place) -> Iterator[Item]:
        """Yields a tool's result."""
        self.digest.ended(call, result)
        metadata: dict[str, JsonValue] = {"state": result.state}
        if result.exit_code is not None:
            metadata["exit_code"] = result.exit_code
        name = call.name if call else None
        yield from self._message("tool", result.text, place, tool_name=name, metadata=metadata)

    def compacted(self, summary: str, place: Place) -> Iterator[Item]:
        """Yields the checkpoint of a compaction summary."""
        if not summary:
            return
        yield from self._announcement()
        self.digest.counts["compactions"] += 1
        yield CheckpointItem(
            id=derive_id(place.at, "checkpoint", self.item.source_id, place.source),
            session_id=self.item.id,
            description=summary,
            created_at=place.at,
            next_steps=next_steps(summary),
            git_branch=self.digest.current_branch,
            files_changed=self.digest.files_changed,
            source_id=place.source,
        )

    def close(self) -> Iterator[Item]:
        """Yields the closing checkpoint and the end, if anything was said."""
        if not self._announced:
            return
        if checkpoint := self.digest.closing_checkpoint():
            yield checkpoint
        yield self.digest.end()

    def _announcement(self) -> Iterator[Item]:
        if not self._announced:
            self._announced = True
            yield self.item

    def _message(
        self,
        role: Role,
        text: str,
        place: Place,
        *,
        tool_name: str | None = None,
        metadata: dict[str, JsonValue] | None = None,
    ) -> Iterator[Item]:
        yield from self._announcement()
        self.digest.counts[role] += 1
        yield MessageItem(
            id=derive_id(place.at, "message", self.item.source_id, place.source, *place.part),
            session_id=self.item.id,
            role=role,
            text=text,
            source_id=place.source,
            created_at=place.at,
            author=place.author if role == "assistant" else "",
            tool_name=tool_name,
            metadata=metadata or {},
        )
