"""Whatever stands in a file, reading it never fails, and yields what can be stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from memory_core.operations import CreateCheckpoint, CreateSession, NewMessage
from memory_core.transcripts import (
    AgentChoice,
    CheckpointItem,
    Item,
    Malformed,
    MessageItem,
    SessionEnd,
    SessionItem,
    read,
)
from memory_core.transcripts.lines import BadLine, Line, read_lines
from tests.memory_core.transcripts.builders import ClaudeLog, CodexLog, checkpoints, messages

KEYS = st.sampled_from(
    [
        "type", "uuid", "parentUuid", "sessionId", "agentId", "isSidechain", "isMeta", "message",
        "content", "role", "id", "model", "text", "thinking", "name", "input", "tool_use_id",
        "is_error", "toolUseResult", "timestamp", "cwd", "gitBranch", "isCompactSummary",
        "attachment", "prompt", "payload", "call_id", "arguments", "output", "summary", "source",
        "file_path", "old_string", "new_string", "command", "todos", "plan", "questions", "git",
        "edits", "metadata", "exit_code", "data", "media_type", "customTitle", "subagent",
    ]
)  # fmt: skip
VALUES = st.sampled_from(
    [
        "user", "assistant", "tool_use", "tool_result", "text", "thinking", "attachment",
        "queued_command", "custom-title", "session_meta", "response_item", "message", "compacted",
        "turn_context", "function_call", "function_call_output", "reasoning", "Bash", "Edit",
        "TodoWrite", "TaskCreate", "shell", "apply_patch", "2026-03-01T12:00:00Z", "[1/0] \ud800",
        "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "/home/dev/x", "a\x00b\x1b[2J",
        "<task-notification><summary>x</summary></task-notification>", "<command-name>/x",
        "Exit code 99999999999", "*** Begin Patch\n*** Add File: x\n", "{\"output\": [[1]]}",
        "This session is being continued from a previous conversation that ran out of context.",
    ]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | VALUES
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)
RECORD = st.dictionaries(KEYS, JSON, min_size=1, max_size=9)
AGENTS: list[AgentChoice] = ["claude-code", "codex"]

relaxed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=1500
)


def storable(items: list[Item]) -> None:
    """Checks each item against what the hub takes."""
    seen: set[str] = set()
    open_sessions: set[str] = set()
    for item in items:
        if isinstance(item, SessionItem):
            open_sessions.add(item.id)
            CreateSession(
                id=item.id, title="x", agent=item.agent, source_id=item.source_id,
                started_at=item.started_at, parent_session_id=item.parent_id,
                metadata=item.metadata,
            )  # fmt: skip
        elif isinstance(item, MessageItem):
            assert item.session_id in open_sessions
            assert item.id not in seen
            seen.add(item.id)
            NewMessage.model_validate(
                {
                    "id": item.id, "role": item.role, "text": item.text, "author": item.author,
                    "tool_name": item.tool_name, "source_id": item.source_id,
                    "created_at": item.created_at, "metadata": item.metadata,
                }
            )  # fmt: skip
        elif isinstance(item, CheckpointItem):
            assert item.session_id in open_sessions
            CreateCheckpoint(
                id=item.id, session_id=item.session_id, description=item.description,
                next_steps=item.next_steps, git_branch=item.git_branch,
                git_commit=item.git_commit, files_changed=list(item.files_changed),
                tasks_completed=list(item.tasks_completed), source_id=item.source_id,
                created_at=item.created_at,
            )  # fmt: skip
        elif isinstance(item, SessionEnd):
            assert item.id in open_sessions
            CreateSession(
                title=item.title, summary=item.summary, ended_at=item.ended_at,
                files_changed=list(item.files_changed), metadata=item.metadata,
            )  # fmt: skip


@pytest.mark.parametrize("agent", AGENTS)
@given(records=st.lists(RECORD, max_size=12))
@relaxed
def test_any_json_lines_are_read(
    tmp_path: Path, agent: AgentChoice, records: list[dict[str, object]]
) -> None:
    path = tmp_path / "any.jsonl"
    path.write_text("\n".join(map(json.dumps, records)) + "\n")
    found = list(read(path, agent))
    storable(found)
    assert not [item for item in found if isinstance(item, Malformed)]
    assert list(read(path, agent)) == found


@pytest.mark.parametrize("agent", AGENTS)
@given(data=st.binary(max_size=300))
@example(data=b"\xff\xfe\n{}\n\xef\xbb\xbf{}\n")
@relaxed
def test_any_bytes_are_read(tmp_path: Path, agent: AgentChoice, data: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(data)
    storable(list(read(path, agent)))


def claude_log() -> ClaudeLog:
    log = ClaudeLog()
    log.user("Fix the parser\ud800 now")
    log.text("\n\n", "m1")
    log.text("I look.", "m1")
    log.text("I really look.", "m1")
    log.thinking("Tabs?", "m1")
    log.run("Bash", {"command": "make test"}, "Exit code 2\nerror: tabs", error=True)
    log.user("inner", isSidechain=True, agentId="a1")
    log.run("Edit", {"file_path": "/x/a.py", "old_string": "a", "new_string": "b"}, "ok")
    log.run("TodoWrite", {"todos": [{"content": "x", "status": "pending"}]}, "ok")
    log.run("Bash", {"command": "make test"}, "fine \ufffd größe 日本")
    log.user("This session is being continued from a previous conversation that ran out of "
             "context.\nSummary: tabs", isCompactSummary=True)  # fmt: skip
    log.text("Mended.\n\nNext steps:\n- push")
    return log


def codex_log() -> CodexLog:
    log = CodexLog()
    log.said("user", "Fix the parser")
    log.item(type="function_call", name="shell", arguments='{"command":["ls"]}', call_id="c")
    log.item(type="function_call_output", call_id="c", output="Exit code: 0\nOutput:\nx")
    log.add("compacted", {"message": "tabs"})
    log.said("assistant", "Mended.")
    return log


@pytest.mark.parametrize("agent", AGENTS)
@given(cut=st.integers(0, 8_000))
@relaxed
def test_a_grown_file_has_all_that_it_had(tmp_path: Path, agent: AgentChoice, cut: int) -> None:
    log = claude_log() if agent == "claude-code" else codex_log()
    whole = log.write(tmp_path / "whole.jsonl")
    part = tmp_path / "part.jsonl"
    data = whole.read_bytes()
    part.write_bytes(data[: cut % len(data)])
    before, after = list(read(part, agent)), list(read(whole, agent))
    storable(before)
    assert not [item for item in before if isinstance(item, Malformed)]
    known = {item.id: item for item in messages(after)}
    for message in messages(before):
        # A text whose next block had not been written yet comes again, whole, as another.
        assert known.get(message.id) == message or any(
            other.source_id == message.source_id and other.text.startswith(message.text)
            for other in known.values()
        )
    kept = [c for c in checkpoints(before) if c.source_id]
    assert all(c in checkpoints(after) for c in kept)
    assert all(s in after for s in before if isinstance(s, SessionItem))


@pytest.mark.parametrize("agent", AGENTS)
@given(place=st.integers(0, 8_000), byte=st.integers(0, 255))
@relaxed
def test_one_wrong_byte_costs_at_most_its_line(
    tmp_path: Path, agent: AgentChoice, place: int, byte: int
) -> None:
    log = claude_log() if agent == "claude-code" else codex_log()
    path = log.write(tmp_path / "whole.jsonl")
    data = bytearray(path.read_bytes())
    data[place % len(data)] = byte
    path.write_bytes(data)
    found = list(read(path, agent))
    storable(found)
    assert len([item for item in found if isinstance(item, Malformed)]) <= 2


def replaced(value: object, path: list[int], new: object) -> object:
    """Returns ``value`` with the part at ``path`` (child numbers, taken modulo) replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    chosen = keys[path[0] % len(keys)]
    copy = value.copy()
    copy[chosen] = replaced(value[chosen], path[1:], new)
    return copy


@pytest.mark.parametrize("agent", AGENTS)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 20), st.lists(st.integers(0, 20), max_size=6), JSON),
        min_size=1,
        max_size=4,
    )
)
@relaxed
def test_any_value_in_the_place_of_a_right_one_is_read(
    tmp_path: Path, agent: AgentChoice, changes: list[tuple[int, list[int], object]]
) -> None:
    log = claude_log() if agent == "claude-code" else codex_log()
    for number, path, new in changes:
        place = number % len(log.lines)
        log.lines[place] = json.dumps(replaced(json.loads(log.lines[place]), path, new))
    found = list(read(log.write(tmp_path / "x.jsonl"), agent))
    storable(found)
    assert list(read(tmp_path / "x.jsonl", agent)) == found


def test_bad_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("one")
    log.raw("{broken")
    log.raw("[1, 2]")
    log.raw("")
    log.raw("[" * 100_000)
    log.raw('{"a":' * 20_000)
    log.user("two")
    path = log.write(tmp_path / "x.jsonl")
    found = list(read(path))
    bad = [item for item in found if isinstance(item, Malformed)]
    assert [item.line for item in bad] == [2, 3, 5, 6]
    assert all(item.path == str(path) for item in bad)
    assert bad[1].reason == "not a JSON object"
    assert [m.text for m in messages(found)] == ["one", "two"]


def test_a_truncated_last_line_is_no_error(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("one")
    log.user("two")
    path = log.write(tmp_path / "x.jsonl")
    path.write_bytes(path.read_bytes()[:-20])
    assert [type(item) for item in read(path)] == [SessionItem, MessageItem, SessionEnd]


def test_a_last_line_without_line_end_is_read(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("one")
    assert len(messages(read(log.write(tmp_path / "x.jsonl", end="")))) == 1


def test_a_line_over_the_limit_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n' + b'{"b": "' + b"x" * 3_000_000 + b'"}\n{"c": 3}\n')
    assert list(read_lines(path, max_line_bytes=1_000)) == [
        Line(1, {"a": 1}),
        BadLine(2, "the line is longer than 1,000 bytes"),
        Line(3, {"c": 3}),
    ]
    path.write_bytes(b"x" * 3_000_000)
    assert len(list(read_lines(path, max_line_bytes=1_000))) == 1


def test_deep_content_is_survived(tmp_path: Path) -> None:
    deep = "[" * 800 + "]" * 800
    log = ClaudeLog()
    log.user("one")
    record = json.loads(log.lines[0]) | {"uuid": "deep", "message": {"content": "@"}}
    log.raw(json.dumps(record).replace('"@"', deep))
    log.user("two")
    found = list(read(log.write(tmp_path / "x.jsonl")))
    assert [m.text for m in messages(found)] == ["one", "two"]
