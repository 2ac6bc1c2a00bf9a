"""Transcripts are found by what is in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from memory_core.errors import InvalidTime, UnreadableTranscript
from memory_core.transcripts import default_folders, detect, find_transcripts, read
from tests.memory_core.transcripts.builders import SESSION, ClaudeLog, CodexLog

OTHER = "99999999-2222-4333-8444-555555555555"


def claude(path: Path, session: str = SESSION, agent: str | None = None) -> Path:
    log = ClaudeLog(session, agent=agent)
    log.raw('{"type":"file-history-snapshot","messageId":"x","snapshot":{}}')
    log.user("hello")
    return log.write(path)


def codex(path: Path) -> Path:
    log = CodexLog()
    log.said("user", "hello")
    return log.write(path)


def test_folders_are_searched_and_mains_come_before_their_subagents(tmp_path: Path) -> None:
    projects = tmp_path / ".claude" / "projects" / "-home-dev-shop"
    inner = claude(projects / SESSION / "subagents" / "agent-a1.jsonl", agent="a1")
    deeper = claude(projects / SESSION / "subagents" / "wf" / "agent-a2.jsonl", agent="a2")
    other = claude(projects / f"{OTHER}.jsonl", OTHER)
    main = claude(projects / f"{SESSION}.jsonl")
    rollout = codex(tmp_path / ".codex" / "sessions" / "2026" / "03" / "01" / "rollout-1.jsonl")
    found = find_transcripts([tmp_path])
    assert [t.path for t in found.transcripts] == [main, inner, deeper, other, rollout]
    assert [(t.agent, t.subagent) for t in found.transcripts] == [
        ("claude-code", False),
        ("claude-code", True),
        ("claude-code", True),
        ("claude-code", False),
        ("codex", False),
    ]
    assert found.transcripts[0].size == main.stat().st_size
    assert found.skipped == []


def test_without_paths_the_tools_own_folders_are_searched(tmp_path: Path) -> None:
    environ = {"CLAUDE_CONFIG_DIR": str(tmp_path / "c"), "CODEX_HOME": str(tmp_path / "x")}
    main = claude(tmp_path / "c" / "projects" / "p" / f"{SESSION}.jsonl")
    rollout = codex(tmp_path / "x" / "sessions" / "2026" / "rollout.jsonl")
    assert [t.path for t in find_transcripts([], environ=environ).transcripts] == [main, rollout]
    assert default_folders({}, tmp_path) == [
        tmp_path / ".claude" / "projects",
        tmp_path / ".codex" / "sessions",
    ]
    nothing = find_transcripts([], environ={"CLAUDE_CONFIG_DIR": "/no", "CODEX_HOME": "/no"})
    assert (nothing.transcripts, nothing.skipped) == ([], [])


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    renamed = claude(tmp_path / "notes.txt")
    misnamed = codex(tmp_path / f"{SESSION}.jsonl")
    assert detect(renamed) == ("claude-code", False)
    assert detect(misnamed) == ("codex", False)
    assert [t.path for t in find_transcripts([tmp_path]).transcripts] == [misnamed]
    assert [t.path for t in find_transcripts([renamed]).transcripts] == [renamed]


def test_one_agent_can_be_asked_for(tmp_path: Path) -> None:
    main, rollout = claude(tmp_path / "a.jsonl"), codex(tmp_path / "b.jsonl")
    assert [t.path for t in find_transcripts([tmp_path], agent="codex").transcripts] == [rollout]
    named = find_transcripts([main], agent="codex")
    assert [(s.path, s.reason, s.named) for s in named.skipped] == [
        (main, "a transcript of claude-code, not of codex", True)
    ]


def test_since_leaves_out_what_was_not_written_since(tmp_path: Path) -> None:
    old, new = claude(tmp_path / "old.jsonl"), claude(tmp_path / "new.jsonl", OTHER)
    os.utime(old, (1_700_000_000, 1_700_000_000))
    found = find_transcripts([tmp_path], since="2024-01-01T00:00:00Z")
    assert [t.path for t in found.transcripts] == [new]
    assert find_transcripts([old]).transcripts[0].modified == "2023-11-14T22:13:20.000000Z"
    with pytest.raises(InvalidTime):
        find_transcripts([tmp_path], since="2024-01-01")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x01\x02" * 5_000,
        bytes(range(256)) * 100,
        b"just text\n" * 100,
        b'{"type":"other","sessionId":"s"}\n',
        b'{"a":1}\n[]\n"x"\n',
        b"[" * 100_000,
        b"x" * 10_000_000,
    ],
    ids=["empty", "nul", "bytes", "text", "json", "values", "deep", "one line"],
)
def test_what_is_no_transcript_is_skipped_with_a_reason(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(data)
    found = find_transcripts([path])
    assert found.transcripts == []
    assert [(s.path, s.reason) for s in found.skipped] == [
        (path, "not a transcript of a known agent")
    ]
    with pytest.raises(UnreadableTranscript, match=r"file\.jsonl"):
        list(read(path))


def test_absent_files_and_pipes_are_skipped_with_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    absent = tmp_path / "absent.jsonl"
    found = find_transcripts([absent, tmp_path, tmp_path / "nul\x00byte"])
    assert [s.path for s in found.skipped] == [
        absent,
        tmp_path / "pipe.jsonl",
        tmp_path / "nul\x00byte",
    ]
    assert [s.named for s in found.skipped] == [True, False, True]
    assert found.skipped[0].reason == "No such file or directory"
    assert found.skipped[1].reason == "not a regular file"
    with pytest.raises(UnreadableTranscript):
        list(read(absent, "claude-code"))


def test_link_loops_end_and_a_file_counts_once(tmp_path: Path) -> None:
    main = claude(tmp_path / "p" / f"{SESSION}.jsonl")
    (tmp_path / "p" / "loop").symlink_to(tmp_path)
    (tmp_path / "p" / "self").symlink_to(tmp_path / "p" / "self")
    (tmp_path / "again.jsonl").symlink_to(main)
    found = find_transcripts([tmp_path, tmp_path / "p", main])
    assert len(found.transcripts) == 1
    assert found.skipped == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_skipped(tmp_path: Path) -> None:
    main = claude(tmp_path / f"{SESSION}.jsonl")
    main.chmod(0)
    assert [s.reason for s in find_transcripts([main]).skipped] == ["Permission denied"]
