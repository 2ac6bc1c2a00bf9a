"""Title, files, mended commands, tasks and the closing checkpoint, by rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory_core.transcripts import CheckpointItem, SessionEnd, read
from memory_core.transcripts.commands import essence
from memory_core.transcripts.derive import next_steps
from tests.memory_core.transcripts.builders import FOLDER, SESSION, ClaudeLog, checkpoints, ends


def end_of(log: ClaudeLog, folder: Path) -> SessionEnd:
    return ends(read(log.write(folder / f"{SESSION}.jsonl")))[0]


def closing(log: ClaudeLog, folder: Path) -> CheckpointItem:
    found = checkpoints(read(log.write(folder / f"{SESSION}.jsonl")))
    assert found[-1].source_id is None
    return found[-1]


@pytest.mark.parametrize(
    ("requests", "title"),
    [
        (["/clear", "Fix the   parser\nplease"], "Fix the parser please"),
        (["<command-name>/model</command-name>", "<local-command-stdout>Set</local-command-stdout>",
          "Why?"], "Why?"),
        (["<command-name>/fix</command-name><command-args>issue 7</command-args>", "more"],
         "/fix issue 7"),
        (["[Request interrupted by user]", "Go on"], "Go on"),
        (["<task-notification><summary>done</summary></task-notification>", "Go on"], "Go on"),
        (["word " * 60], "word " * 23 + "word…"),
        (["x" * 300], "x" * 119 + "…"),
        (["/compact"], "/compact"),
    ],
)  # fmt: skip
def test_the_title_is_the_first_real_request(
    tmp_path: Path, requests: list[str], title: str
) -> None:
    log = ClaudeLog()
    for request in requests:
        log.user(request)
    assert end_of(log, tmp_path).title == title
    assert len(title) <= 120


def test_without_a_request_the_title_says_what_there_is(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.run("Bash", {"command": "ls"}, "a")
    assert end_of(log, tmp_path).title == "claude-code session in shop"


def test_files_changed_are_those_that_edits_changed(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.run("Read", {"file_path": f"{FOLDER}/read.py"}, "x")
    log.run("Write", {"file_path": f"{FOLDER}/new.py", "content": "x\ny"}, "ok")
    log.run("Edit", {"file_path": "/etc/hosts", "old_string": "a", "new_string": "b"}, "ok")
    log.run("MultiEdit", {"file_path": f"{FOLDER}/m.py",
            "edits": [{"old_string": "a", "new_string": "b"}]}, "ok")  # fmt: skip
    log.run("Edit", {"file_path": f"{FOLDER}/no.py", "old_string": "a", "new_string": "b"},
            "<tool_use_error>no match</tool_use_error>", error=True)  # fmt: skip
    log.run("Edit", {"file_path": f"{FOLDER}/new.py", "old_string": "x", "new_string": "z"}, "ok")
    assert end_of(log, tmp_path).files_changed == ("new.py", "/etc/hosts", "m.py")


def test_a_command_that_failed_and_then_passed_is_told_with_what_mended_it(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("Make the tests pass")
    failing = "Exit code 1\ncollected 3\nE   AssertionError: tabs\n1 failed, 2 passed"
    log.run("Bash", {"command": f"cd {FOLDER} && pytest tests 2>&1 | tail -5"}, failing, error=True)
    log.run("Edit", {"file_path": f"{FOLDER}/lexer.py", "old_string": "a", "new_string": "b"}, "ok")
    log.run("Bash", {"command": "PYTHONPATH=. pytest tests"}, "Exit code 1\n1 failed", error=True)
    log.run("Bash", {"command": "grep tabs lexer.py"}, "Exit code 1\n", error=True)
    log.run("Bash", {"command": "grep tabs lexer.py"}, "tabs")
    log.run("Edit", {"file_path": f"{FOLDER}/conf.py", "old_string": "a", "new_string": "b"}, "ok")
    log.run("Bash", {"command": "timeout 60 pytest tests"}, "3 passed")
    log.text("All green.")
    assert end_of(log, tmp_path).metadata["fixed"] == [
        {
            "command": "pytest tests",
            "error": "E AssertionError: tabs",
            "failures": 2,
            "files": ["lexer.py", "conf.py"],
        }
    ]
    assert (
        "- `pytest tests` failed: E AssertionError: tabs; passed after changing lexer.py, conf.py"
        in closing(log, tmp_path).description
    )


def test_a_pipe_that_hides_the_state_is_judged_by_its_output(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.run("Bash", {"command": "mix test 2>&1 | tail -3"}, "Finished\n10 tests, 2 failures")
    log.run("Bash", {"command": "mix test 2>&1 | tail -5"}, "Finished\n10 tests, 0 failures")
    log.run("Bash", {"command": "cat log | head"}, "error: not mine")
    log.run("Bash", {"command": "cat log | head"}, "fine")
    fixed = end_of(log, tmp_path).metadata["fixed"]
    assert fixed == [
        {"command": "mix test", "error": "10 tests, 2 failures", "failures": 1, "files": []}
    ]


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("make test", "make test"),
        ("cd /x && A=1 B=2 timeout 30 make test 2>&1 | tail -20", "make test"),
        ("cd /x; make test > log", "make test"),
        ("make a || true", "make a || true"),
        ("make a && make b", "make a && make b"),
        ("python - <<'EOF'\nprint()\nEOF", "python -"),
        ("grep -r x .", ""),
        ("/usr/bin/ls", ""),
        ("", ""),
    ],
)
def test_the_essence_of_a_command(command: str, kept: str) -> None:
    assert essence(command) == kept


def test_the_closing_checkpoint_says_where_work_stands(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("Fix the parser", gitBranch="main")
    log.run("Bash", {"command": "git commit -m x"}, "[fix/tabs 0a1b2c3] keep tabs\n 1 file changed")
    todos = [
        {"content": "lexer", "status": "completed", "activeForm": "x"},
        {"content": "parser", "status": "in_progress"},
        {"content": "docs", "status": "pending"},
    ]
    log.run("TodoWrite", {"todos": todos}, "Todos have been modified")
    log.user("And the docs?", gitBranch="fix/tabs")
    log.text("The lexer keeps tabs now.\n\n**Next steps:**\n- document it\n\nThat is all.")
    found = closing(log, tmp_path)
    assert found.description == (
        "Asked last: And the docs?\n\nSaid last: The lexer keeps tabs now.\n\n"
        "**Next steps:**\n- document it\n\nThat is all."
    )
    assert found.next_steps == ("**Next steps:**\n- document it\n- in progress: parser\n- docs")
    assert found.tasks_completed == ("lexer",)
    assert (found.git_branch, found.git_commit) == ("main", "0a1b2c3")
    assert found.created_at == end_of(log, tmp_path).ended_at


def test_the_fuller_report_before_a_short_last_word_is_kept(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("Do it")
    log.text("All done. " + "The parser was rewritten. " * 10)
    log.user("<task-notification><summary>Tests completed</summary></task-notification>")
    log.text("Fine.")
    description = closing(log, tmp_path).description
    assert "Reported before: All done. The parser was rewritten." in description
    assert "Said last: Fine." in description


def test_tasks_made_one_by_one(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("Plan")
    for number, subject in enumerate(["lexer", "parser", "docs"], start=1):
        log.run("TaskCreate", {"subject": subject, "description": "d"},
                f"Task #{number} created successfully: {subject}")  # fmt: skip
    log.run("TaskUpdate", {"taskId": "1", "status": "completed"}, "Updated task #1 status")
    log.run("TaskUpdate", {"taskId": "2", "status": "in_progress"}, "Updated task #2 status")
    log.run("TaskUpdate", {"taskId": "3", "status": "deleted"}, "Deleted")
    log.run("TaskUpdate", {"taskId": "9", "status": "completed"}, "no such task", error=True)
    log.text("On it.")
    found = closing(log, tmp_path)
    assert found.tasks_completed == ("lexer",)
    assert found.next_steps == "- in progress: parser"


def test_a_session_without_answer_has_no_closing_checkpoint(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("Anybody there?")
    assert checkpoints(read(log.write(tmp_path / f"{SESSION}.jsonl"))) == []


def test_counts_tools_and_models(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("Go")
    log.run("Bash", {"command": "make"}, "Exit code 1\nno", error=True)
    log.run("Bash", {"command": "ls"}, "a")
    log.text("Done.")
    metadata = end_of(log, tmp_path).metadata
    assert metadata["counts"] == {
        "assistant": 3, "failed_calls": 1, "requests": 1, "tool": 2, "user": 1,
    }  # fmt: skip
    assert metadata["tools"] == {"Bash": 2}
    assert metadata["models"] == ["claude-x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Done.", ""),
        ("Done.\n\nNext steps:\n1. lint\n2. push\n\nBye.", "Next steps:\n1. lint\n2. push"),
        ("## Remaining work\n\n- a\n- b\n## Other\n- c", "## Remaining work\n- a\n- b"),
        ("What's next: push it\n\nBye", "What's next: push it"),
        ("next steps: a\n\nlater\n\nNext steps: b", "Next steps: b"),
        ("The next steps were easy", ""),
        ("Pending:\n- a\n\n- b\n\nc", "Pending:\n- a\n- b"),
    ],
)
def test_next_steps_are_found(text: str, expected: str) -> None:
    assert next_steps(text) == expected
