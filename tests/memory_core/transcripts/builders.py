"""Writes transcripts of the shape that the agents write."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from memory_core.transcripts import (
    CheckpointItem,
    Item,
    MessageItem,
    SessionEnd,
    SessionItem,
)

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SESSION = "0f0e0d0c-0b0a-4908-8706-050403020100"
FOLDER = "/home/dev/projects/shop"


def line_id(number: int, session: str = SESSION) -> str:
    return str(uuid.uuid5(uuid.UUID(session), str(number)))


class ClaudeLog:
    """A Claude Code transcript, line by line; each method returns the line's uuid."""

    def __init__(self, session: str = SESSION, *, agent: str | None = None) -> None:
        self.session = session
        self.agent = agent
        self.lines: list[str] = []
        self._calls = 0

    def time(self, number: int | None = None) -> str:
        at = START + timedelta(seconds=len(self.lines) if number is None else number)
        return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"

    def raw(self, text: str) -> None:
        self.lines.append(text)

    def add(self, kind: str, **fields: object) -> str:
        seed = uuid.uuid5(uuid.UUID(self.session), f"{self.agent}{len(self.lines)}")
        record: dict[str, object] = {
            "parentUuid": None,
            "isSidechain": self.agent is not None,
            "userType": "external",
            "cwd": FOLDER,
            "sessionId": self.session,
            "version": "2.1.63",
            "gitBranch": "main",
            "type": kind,
            "uuid": str(seed),
            "timestamp": self.time(),
        }
        if self.agent is not None:
            record["agentId"] = self.agent
        self.lines.append(json.dumps(record | fields))
        return str(seed)

    def user(self, content: object, **fields: object) -> str:
        return self.add("user", message={"role": "user", "content": content}, **fields)

    def block(self, block: dict[str, object], message: str = "", **fields: object) -> str:
        body = {
            "id": message or f"msg_{len(self.lines)}",
            "role": "assistant",
            "model": "claude-x",
            "content": [block],
            "stop_reason": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        return self.add("assistant", message=body, requestId="req", **fields)

    def text(self, text: str, message: str = "") -> str:
        return self.block({"type": "text", "text": text}, message)

    def thinking(self, text: str, message: str = "") -> str:
        return self.block({"type": "thinking", "thinking": text, "signature": "s"}, message)

    def call(self, name: str, arguments: dict[str, object], message: str = "") -> tuple[str, str]:
        """Returns the call's id and the line's uuid."""
        self._calls += 1
        call_id = f"toolu_{self.agent or 'main'}_{self._calls}"
        use: dict[str, object] = {
            "type": "tool_use", "id": call_id, "name": name, "input": arguments,
        }  # fmt: skip
        return call_id, self.block(use, message)

    def result(self, call_id: str, content: object, *, error: bool = False, **more: object) -> str:
        block: dict[str, object] = {
            "type": "tool_result", "tool_use_id": call_id, "content": content,
        }  # fmt: skip
        if error:
            block["is_error"] = True
        return self.user([block], **more)

    def run(self, name: str, arguments: dict[str, object], output: object, **more: bool) -> str:
        """Adds a call and its result; returns the result's uuid."""
        call_id, _ = self.call(name, arguments)
        return self.result(call_id, output, **more)

    def write(self, path: Path, *, end: str = "\n") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = "\n".join(self.lines) + (end if self.lines else "")
        path.write_bytes(data.encode("utf-8", "surrogatepass"))
        return path


CODEX_SESSION = "019c5000-0000-7000-8000-0000000000aa"


class CodexLog:
    """A Codex rollout, line by line."""

    def __init__(self, session: str = CODEX_SESSION, **meta: object) -> None:
        self.lines: list[str] = []
        self.add(
            "session_meta",
            {
                "id": session,
                "timestamp": "2026-03-01T12:00:00.000Z",
                "cwd": FOLDER,
                "originator": "codex_cli_rs",
                "cli_version": "0.142.4",
                "base_instructions": {"text": "instructions " * 500},
                "git": {
                    "commit_hash": "0a1b2c3",
                    "branch": "main",
                    "repository_url": "git@github.com:Acme/Shop.git",
                },
                **meta,
            },
        )

    def add(self, kind: str, payload: dict[str, object]) -> int:
        at = START + timedelta(seconds=len(self.lines))
        record = {"timestamp": at.isoformat(), "type": kind, "payload": payload}
        self.lines.append(json.dumps(record))
        return len(self.lines)

    def item(self, **fields: object) -> int:
        return self.add("response_item", fields)

    def said(self, role: str, *texts: str) -> int:
        kind = "output_text" if role == "assistant" else "input_text"
        content = [{"type": kind, "text": text} for text in texts]
        return self.item(type="message", role=role, content=content)

    def write(self, path: Path, *, end: str = "\n") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(self.lines) + end)
        return path


def sessions(items: Iterable[Item]) -> list[SessionItem]:
    return [item for item in items if isinstance(item, SessionItem)]


def messages(items: Iterable[Item]) -> list[MessageItem]:
    return [item for item in items if isinstance(item, MessageItem)]


def checkpoints(items: Iterable[Item]) -> list[CheckpointItem]:
    return [item for item in items if isinstance(item, CheckpointItem)]


def ends(items: Iterable[Item]) -> list[SessionEnd]:
    return [item for item in items if isinstance(item, SessionEnd)]
