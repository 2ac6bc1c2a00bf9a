"""What a transcript reader yields, in the order it was said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import JsonValue

Agent: TypeAlias = Literal["claude-code", "codex"]
Role: TypeAlias = Literal["user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class SessionItem:
    """The start of a session: comes before everything else of that session.

    ``source_id`` is the agent's own session id, for a subagent with ``/agent id`` behind it.
    ``cwd`` is the folder that the agent recorded; it need not exist on this machine.
    ``metadata`` may hold ``agent_version``, ``subagent`` (its name; its ``parent_id`` is None if
    the main session's file is not near), ``git_remote`` and ``git_commit``.
    """

    id: str
    source_id: str
    agent: Agent
    cwd: str | None
    git_branch: str | None
    started_at: str
    parent_id: str | None = None
    metadata: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MessageItem:
    """One turn, tool call, or tool result.

    ``tool_name`` is set on a call (role assistant) and on its result (role tool). ``author``
    is the model's name where the transcript gives it. ``metadata`` holds ``thinking: true`` on
    a thought, ``source_ids`` where several lines were joined, and ``state`` (and ``exit_code``)
    on a result.
    """

    id: str
    session_id: str
    role: Role
    text: str
    source_id: str
    created_at: str
    author: str = ""
    tool_name: str | None = None
    metadata: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckpointItem:
    """A compaction summary (has a ``source_id``) or the state at a session's end (has none)."""

    id: str
    session_id: str
    description: str
    created_at: str
    next_steps: str = ""
    git_branch: str | None = None
    git_commit: str | None = None
    files_changed: tuple[str, ...] = ()
    tasks_completed: tuple[str, ...] = ()
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """What the rules derived once the last line of a session was read.

    ``id`` is the session's. A file that has grown yields a later ``ended_at`` for the same id.
    """

    id: str
    ended_at: str
    title: str
    summary: str
    files_changed: tuple[str, ...] = ()
    metadata: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that could not be read; everything else of the file still is."""

    path: str
    line: int
    reason: str


Item: TypeAlias = SessionItem | MessageItem | CheckpointItem | SessionEnd | Malformed
