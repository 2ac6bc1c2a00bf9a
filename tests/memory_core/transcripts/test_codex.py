"""Codex rollouts, as sessions, messages and checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memory_core.transcripts import Item, Malformed, read
from tests.memory_core.transcripts.builders import (
    CODEX_SESSION,
    FOLDER,
    CodexLog,
    checkpoints,
    ends,
    messages,
    sessions,
)


def items(log: CodexLog, folder: Path, **options: bool) -> list[Item]:
    return list(read(log.write(folder / "rollout-2026-03-01.jsonl"), **options))


def test_a_rollout_is_a_session(tmp_path: Path) -> None:
    log = CodexLog()
    log.said("developer", "<permissions instructions>be careful</permissions instructions>")
    log.said("user", "# AGENTS.md instructions for /home/dev\n\nUse tabs", "<environment_context>")
    log.add("event_msg", {"type": "user_message", "message": "Fix the parser"})
    log.add("turn_context", {"cwd": FOLDER, "model": "gpt-x"})
    asked = log.said("user", "Fix the parser")
    log.add("event_msg", {"type": "agent_message", "message": "Done."})
    said = log.said("assistant", "Done.")
    log.add("event_msg", {"type": "token_count", "info": {}})
    found = items(log, tmp_path)
    session = sessions(found)[0]
    assert (session.agent, session.source_id, session.cwd) == ("codex", CODEX_SESSION, FOLDER)
    assert (session.git_branch, session.parent_id) == ("main", None)
    assert session.started_at == "2026-03-01T12:00:00.000000Z"
    assert session.metadata == {
        "agent_version": "0.142.4",
        "git_remote": "git@github.com:Acme/Shop.git",
        "git_commit": "0a1b2c3",
    }
    assert [(m.role, m.text, m.author, m.source_id) for m in messages(found)] == [
        ("user", "Fix the parser", "", f"{CODEX_SESSION}:{asked}"),
        ("assistant", "Done.", "gpt-x", f"{CODEX_SESSION}:{said}"),
    ]
    assert ends(found)[0].title == "Fix the parser"
    assert checkpoints(found)[0].description == "Asked last: Fix the parser\n\nSaid last: Done."


@pytest.mark.parametrize(
    ("output", "body", "code"),
    [
        (json.dumps({"output": "2 failed", "metadata": {"exit_code": 1}}), "2 failed", 1),
        ("Exit code: 1\nWall time: 0.4 seconds\nOutput:\n2 failed", "2 failed", 1),
        ("Chunk ID: f9\nProcess exited with code 0\nOriginal token count: 9\nOutput:\ngood",
         "good", 0),
        ([{"type": "input_text", "text": "Exit code: 0\nWall time: 1 seconds\nOutput:\nfine"}],
         "fine", 0),
    ],
)  # fmt: skip
def test_outputs_in_their_forms(tmp_path: Path, output: object, body: str, code: int) -> None:
    log = CodexLog()
    arguments = json.dumps({"command": ["bash", "-lc", "make test"], "workdir": FOLDER})
    log.item(type="function_call", name="shell", arguments=arguments, call_id="c1")
    log.item(type="function_call_output", call_id="c1", output=output)
    call, result = messages(items(log, tmp_path))
    assert (call.role, call.tool_name, call.text) == ("assistant", "shell", "shell\n$ make test")
    assert (result.role, result.text) == ("tool", f"shell make test → exit {code}\n{body}")
    assert result.metadata["exit_code"] == code


def test_a_newer_shell_call(tmp_path: Path) -> None:
    log = CodexLog()
    log.item(type="function_call", name="exec_command", arguments='{"cmd": "ls"}', call_id="c1")
    log.item(type="local_shell_call", call_id="c2", action={"type": "exec", "command": ["ls"]})
    assert [m.text for m in messages(items(log, tmp_path))] == [
        "exec_command\n$ ls",
        "local_shell_call\n$ ls",
    ]


PATCH = (
    "*** Begin Patch\n*** Update File: src/a.py\n@@ def f\n-old = 1\n+new = 1\n"
    f"*** Add File: {FOLDER}/b.py\n+print()\n*** End Patch\n"
)


@pytest.mark.parametrize("kind", ["custom", "function", "shell"])
def test_a_patch_names_its_files(tmp_path: Path, kind: str) -> None:
    log = CodexLog()
    log.said("user", "Patch it")
    if kind == "custom":
        log.item(type="custom_tool_call", name="apply_patch", input=PATCH, call_id="c1")
    elif kind == "function":
        log.item(type="function_call", name="apply_patch", call_id="c1",
                 arguments=json.dumps({"input": PATCH}))  # fmt: skip
    else:
        log.item(type="function_call", name="shell", call_id="c1",
                 arguments=json.dumps({"command": ["apply_patch", PATCH]}))  # fmt: skip
    log.item(type="custom_tool_call_output", call_id="c1", output='{"output":"Success."}')
    log.said("assistant", "Patched.")
    found = items(log, tmp_path)
    call = messages(found)[1]
    assert call.text.startswith(f"{call.tool_name}: src/a.py, b.py\n")
    assert "-old = 1\n+new = 1" in call.text
    assert "Begin Patch" not in call.text
    assert ends(found)[0].files_changed == ("src/a.py", "b.py")


def test_a_compaction_is_a_checkpoint(tmp_path: Path) -> None:
    log = CodexLog()
    log.said("user", "Go on")
    number = log.add("compacted", {"message": "Parser done.\n\nNext steps:\n- lint"})
    summary = checkpoints(items(log, tmp_path))[0]
    assert summary.source_id == f"{CODEX_SESSION}:{number}"
    assert summary.description.startswith("Parser done.")
    assert summary.next_steps == "Next steps:\n- lint"


def test_reasoning_is_a_thought(tmp_path: Path) -> None:
    log = CodexLog()
    log.item(
        type="reasoning",
        summary=[{"type": "summary_text", "text": "The lexer drops tabs"}],
        encrypted_content="gAAAA" * 100,
    )
    log.item(type="reasoning", summary=[], encrypted_content="gAAAA" * 100)
    log.said("assistant", "Found it.")
    assert [m.text for m in messages(items(log, tmp_path))] == [
        "(thinking) The lexer drops tabs",
        "Found it.",
    ]
    assert len(messages(items(log, tmp_path, thinking=False))) == 1


def test_a_subagent_knows_its_parent(tmp_path: Path) -> None:
    parent, child = CodexLog(), CodexLog(
        "019c5000-0001-7000-8000-0000000000bb",
        source={"subagent": {"thread_spawn": {"parent_thread_id": CODEX_SESSION, "depth": 1}}},
    )  # fmt: skip
    parent.said("user", "Explore")
    child.said("user", "Find the lexer")
    child.said("assistant", "Found.")
    above = sessions(items(parent, tmp_path))[0]
    found = items(child, tmp_path)
    assert sessions(found)[0].parent_id == above.id
    assert checkpoints(found) == []


def test_a_resumed_rollout_repeats_a_meta_line(tmp_path: Path) -> None:
    log = CodexLog()
    log.lines.append(CodexLog("019c4fff-0000-7000-8000-0000000000cc").lines[0])
    log.said("user", "Go on")
    assert [s.source_id for s in sessions(items(log, tmp_path))] == [CODEX_SESSION]


def test_the_first_versions_had_no_envelope(tmp_path: Path) -> None:
    path = tmp_path / "rollout-old.jsonl"
    lines: list[dict[str, object]] = [
        {"id": "0e0e0e0e-1111-4222-8333-444444444444", "timestamp": "2025-06-01T10:00:00.000Z",
         "instructions": None, "git": {"branch": "dev"}},
        {"record_type": "state"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "function_call", "name": "shell", "arguments": "{not json", "call_id": "c"},
        {"type": "function_call_output", "call_id": "c", "output": "plain"},
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)))
    found = list(read(path))
    session = sessions(found)[0]
    assert (session.started_at, session.git_branch) == ("2025-06-01T10:00:00.000000Z", "dev")
    assert [m.text for m in messages(found)] == ["Hi", "shell", "shell → ok\nplain"]


def test_a_web_search_is_a_call(tmp_path: Path) -> None:
    log = CodexLog()
    log.item(type="web_search_call", status="completed", action={"type": "search", "query": "tabs"})
    assert messages(items(log, tmp_path))[0].text == "web_search_call\ntype: search\nquery: tabs"


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    log = CodexLog()
    log.lines.append("{broken")
    log.said("user", "Hi")
    path = log.write(tmp_path / "rollout.jsonl", end='\n{"timestamp":"2026')
    found = list(read(path))
    bad = [item for item in found if isinstance(item, Malformed)]
    assert [(item.path, item.line) for item in bad] == [(str(path), 2)]
    assert len(messages(found)) == 1
