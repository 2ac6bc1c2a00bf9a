"""Claude Code transcripts, as sessions, messages and checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memory_core import framing
from memory_core.ids import derive_id
from memory_core.transcripts import Item, Malformed, MessageItem, SessionItem, read
from memory_core.transcripts.claude import AGENT
from tests.memory_core.transcripts.builders import (
    FOLDER,
    SESSION,
    ClaudeLog,
    checkpoints,
    ends,
    messages,
    sessions,
)

STARTED = "2026-03-01T12:00:00.000000Z"


def items(log: ClaudeLog, folder: Path, **options: bool) -> list[Item]:
    return list(read(log.write(folder / f"{log.session}.jsonl"), **options))


def test_a_session_begins_speaks_and_ends(tmp_path: Path) -> None:
    log = ClaudeLog()
    asked, said = log.user("Fix the parser"), log.text("Done.")
    found = items(log, tmp_path)
    assert found[0] == SessionItem(
        id=derive_id(STARTED, "session", AGENT, SESSION),
        source_id=SESSION,
        agent="claude-code",
        cwd=FOLDER,
        git_branch="main",
        started_at=STARTED,
        metadata={"agent_version": "2.1.63"},
    )
    assert found[1] == MessageItem(
        id=derive_id(STARTED, "message", SESSION, asked),
        session_id=found[0].id,
        role="user",
        text="Fix the parser",
        source_id=asked,
        created_at=STARTED,
    )
    assert [(m.role, m.author, m.source_id) for m in messages(found)] == [
        ("user", "", asked),
        ("assistant", "claude-x", said),
    ]
    end = ends(found)[0]
    assert (end.id, end.ended_at) == (found[0].id, "2026-03-01T12:00:01.000000Z")
    assert found[-1] == end


def test_the_start_is_the_first_line_of_the_session_whatever_it_is(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.add("progress", data={"type": "hook_progress"})
    log.add("progress", data={"type": "hook_progress"})
    log.user("hello there")
    assert sessions(items(log, tmp_path))[0].started_at == STARTED


def test_a_session_in_which_nothing_is_said_yields_nothing(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.add("progress", data={})
    log.user("<local-command-caveat>Caveat</local-command-caveat>", isMeta=True)
    log.text("\n\n")
    assert items(log, tmp_path) == []


def test_texts_of_one_api_message_are_joined(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("go")
    blank = log.text("\n\n", "m1")
    first = log.text("First.", "m1")
    log.add("progress", data={})
    second = log.text("Second.", "m1")
    other = log.text("Other.", "m2")
    said = messages(items(log, tmp_path))[1:]
    assert [m.text for m in said] == ["First.\n\nSecond.", "Other."]
    assert [m.source_id for m in said] == [first, other]
    assert said[0].metadata == {"source_ids": [first, second]}
    assert said[0].id == derive_id(said[0].created_at, "message", SESSION, first, second)
    assert blank not in {m.source_id for m in said}


def test_a_call_parts_the_texts_around_it(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.text("Before.", "m1")
    log.call("Read", {"file_path": f"{FOLDER}/a.py"}, "m1")
    log.text("After.", "m1")
    assert [m.text for m in messages(items(log, tmp_path))] == [
        "Before.",
        "Read: a.py",
        "After.",
    ]


def test_every_call_result_and_thought_has_the_uuid_of_its_line(tmp_path: Path) -> None:
    log = ClaudeLog()
    thought = log.thinking("The lexer drops tabs.", "m1")
    said = log.text("I look.", "m1")
    one, one_line = log.call("Bash", {"command": "make test", "description": "Test"}, "m1")
    two, two_line = log.call("Grep", {"pattern": "tab", "path": f"{FOLDER}/src"}, "m1")
    two_result = log.result(two, "src/lexer.py:3")
    one_result = log.result(one, "Exit code 2\nlexer.py failed", error=True)
    found = messages(items(log, tmp_path))
    assert [(m.source_id, m.role, m.tool_name) for m in found] == [
        (thought, "assistant", None),
        (said, "assistant", None),
        (one_line, "assistant", "Bash"),
        (two_line, "assistant", "Grep"),
        (two_result, "tool", "Grep"),
        (one_result, "tool", "Bash"),
    ]
    assert [m.text for m in found] == [
        "(thinking) The lexer drops tabs.",
        "I look.",
        "Bash: Test\n$ make test",
        "Grep: tab in src",
        "Grep tab in src → ok\nsrc/lexer.py:3",
        "Bash make test → exit 2\nlexer.py failed",
    ]
    assert found[0].metadata == {"thinking": True}
    assert found[5].metadata == {"state": "failed", "exit_code": 2}


def test_thoughts_can_be_left_out(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.text("One.", "m1")
    log.thinking("Hm.", "m1")
    log.text("Two.", "m1")
    assert [m.text for m in messages(items(log, tmp_path, thinking=False))] == ["One.\n\nTwo."]


def test_lines_that_nobody_said_are_left_out(tmp_path: Path) -> None:
    log = ClaudeLog()
    kept = log.user("a request")
    log.user("meta", isMeta=True)
    for kind in ("progress", "system", "file-history-snapshot", "last-prompt", "mode", "unknown"):
        log.add(kind, content="noise", message={"role": "user", "content": "noise"})
    log.raw('{"type":"queue-operation","operation":"enqueue","content":"noise"}')
    log.raw('{"type":"summary","summary":"noise","leafUuid":"x"}')
    log.block({"type": "text", "text": "API Error: 500"}, isApiErrorMessage=True)
    log.add("assistant", message={"model": "<synthetic>", "content": [{"type": "text",
            "text": "No response requested."}]})  # fmt: skip
    log.add("attachment", attachment={"type": "hook_additional_context", "content": ["noise"]})
    found = items(log, tmp_path)
    assert [m.source_id for m in messages(found)] == [kept]
    assert not [item for item in found if isinstance(item, Malformed)]


def test_what_was_typed_while_the_agent_worked_is_a_request(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("start")
    typed = log.add("attachment", attachment={"type": "queued_command", "commandMode": "prompt",
                    "prompt": "and check the logs"})  # fmt: skip
    said = messages(items(log, tmp_path))[-1]
    assert (said.role, said.text, said.source_id) == ("user", "and check the logs", typed)


COMPACTED = (
    "This session is being continued from a previous conversation that ran out of context. "
    "The summary below covers the earlier portion of the conversation.\n\n"
    "Analysis:\nParser work.\n\n"
    "7. Pending Tasks:\n   - write tests\n\n9. Optional Next Step:\n   Run the linter.\n\n"
    "If you need specific details from before compaction (like exact code snippets), read the "
    "full transcript at: /home/dev/x.jsonl\n"
    "Please continue the conversation from where we left off."
)


@pytest.mark.parametrize("flag", [True, False])
def test_a_compaction_summary_is_one_checkpoint(tmp_path: Path, flag: bool) -> None:
    log = ClaudeLog()
    log.user("Improve the parser")
    log.run("Edit", {"file_path": f"{FOLDER}/p.py", "old_string": "a", "new_string": "b"}, "ok")
    log.add("system", subtype="compact_boundary", content="Conversation compacted")
    fields = {"isCompactSummary": True, "isVisibleInTranscriptOnly": True} if flag else {}
    source = log.user(COMPACTED, **fields)
    log.text("On with it.")
    inner = ClaudeLog(agent="acompact-0a1b2c")
    inner.user("Your task is to create a detailed summary of the conversation so far")
    inner.text("<analysis>Parser work.</analysis>")
    inner_path = inner.write(tmp_path / SESSION / "subagents" / "agent-acompact-0a1b2c.jsonl")
    found = items(log, tmp_path)
    summary, closing = checkpoints(found)
    assert (summary.source_id, closing.source_id) == (source, None)
    assert summary.description.startswith("Analysis:\nParser work.")
    assert "Please continue" not in summary.description
    assert "full transcript" not in summary.description
    assert summary.next_steps == "9. Optional Next Step:\n   Run the linter."
    assert summary.files_changed == ("p.py",)
    assert summary.id == derive_id(summary.created_at, "checkpoint", SESSION, source)
    assert source not in {m.source_id for m in messages(found)}
    assert list(read(inner_path)) == []


def test_a_subagents_file_is_a_child_session(tmp_path: Path) -> None:
    main = ClaudeLog()
    main.add("progress", data={})
    main.user("Explore the code")
    inner = ClaudeLog(agent="a881341")
    inner.add("progress", data={})
    inner.user("Find the lexer")
    inner.text("It is in lexer.py")
    parent = sessions(items(main, tmp_path))[0]
    path = inner.write(tmp_path / SESSION / "subagents" / "agent-a881341.jsonl")
    found = list(read(path))
    child = sessions(found)[0]
    assert child.parent_id == parent.id
    assert child.id != parent.id
    assert child.source_id == f"{SESSION}/a881341"
    assert child.metadata["subagent"] == "a881341"
    assert checkpoints(found) == []
    assert ends(found)[0].title == "Find the lexer"
    beside = inner.write(tmp_path / "agent-a881341.jsonl")
    assert list(read(beside)) == found
    (tmp_path / f"{SESSION}.jsonl").unlink()
    alone = list(read(path))
    assert sessions(alone)[0].parent_id is None
    assert sessions(alone)[0].id == child.id
    assert alone[1:] == found[1:]


@pytest.mark.parametrize("named", [True, False])
def test_sidechain_lines_in_a_main_file_are_child_sessions(tmp_path: Path, named: bool) -> None:
    log = ClaudeLog()
    log.user("Explore")
    chains: list[list[str]] = [[], []]
    for step in range(3):
        for number, chain in enumerate(chains):
            fields: dict[str, object] = {
                "isSidechain": True,
                "parentUuid": chain[-1] if chain else None,
            }
            if named:
                fields["agentId"] = f"agent{number}"
            chain.append(log.user(f"chain {number} step {step}", **fields))
    log.text("Explored.")
    found = items(log, tmp_path)
    main, *children = sessions(found)
    assert main.parent_id is None
    assert [child.parent_id for child in children] == [main.id, main.id]
    for child, chain in zip(children, chains, strict=True):
        assert [m.source_id for m in messages(found) if m.session_id == child.id] == chain
    assert len(ends(found)) == 3


def test_many_sidechains_are_all_kept(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("Explore")
    for number in range(400):
        log.user(f"chain {number}", isSidechain=True, agentId=f"a{number}")
    log.text("Explored.")
    found = items(log, tmp_path)
    assert len(sessions(found)) == len(ends(found)) == 401
    assert found[-1].id == sessions(found)[0].id


def test_lines_of_another_session_belong_to_it(tmp_path: Path) -> None:
    old, new = ClaudeLog(), ClaudeLog("11111111-2222-4333-8444-555555555555")
    old.user("earlier")
    new.lines = list(old.lines)
    new.user("later")
    assert {s.source_id for s in sessions(items(new, tmp_path))} == {SESSION, new.session}
    first = messages(items(old, tmp_path))[0]
    assert first in messages(items(new, tmp_path))


@pytest.mark.parametrize(
    ("raw", "role", "text"),
    [
        ("<command-name>/review</command-name>\n<command-args>the parser</command-args>", "user",
         "/review the parser"),
        ("<command-name>/clear</command-name><command-args></command-args>", "user", "/clear"),
        ("<local-command-stdout>\x1b[1mModel\x1b[22m set</local-command-stdout>", "tool",
         "Model set"),
        ("<bash-input>git status</bash-input>", "user", "$ git status"),
        ("<bash-stdout>clean</bash-stdout><bash-stderr>warned</bash-stderr>", "tool",
         "clean\nwarned"),
        ("<task-notification><summary>Tests completed</summary></task-notification>\nRead it",
         "tool", "Tests completed"),
        ("<system-reminder>be brief</system-reminder>Fix it", "user", "Fix it"),
        ("Fix <system-reminder>a</system-reminder>it<system-reminder>b</system-reminder>", "user",
         "Fix it"),
        ("What does <system-reminder> mean?", "user", "What does <system-reminder> mean?"),
        ("<ide_opened_file>The user opened x.py</ide_opened_file>Explain", "user", "Explain"),
        ("[Request interrupted by user for tool use]", "user",
         "[Request interrupted by user for tool use]"),
        ("a\x00b\x1b]0;title\x07c\r\nd  \n\n\n\ne", "user", "abc\nd\n\ne"),
    ],
)  # fmt: skip
def test_wrappers_are_taken_off(tmp_path: Path, raw: str, role: str, text: str) -> None:
    log = ClaudeLog()
    log.user(raw)
    said = messages(items(log, tmp_path))
    assert [(m.role, m.text) for m in said] == [(role, text)]


def test_earlier_recall_is_not_remembered_again(tmp_path: Path) -> None:
    secret = framing.wrap("we chose ETS for the tokens", framing.new_nonce())
    hook = json.dumps({"hookSpecificOutput": {"additionalContext": secret}})
    log = ClaudeLog()
    log.user(f"{secret}\nWhat is next?")
    log.run("mcp__memory__recall", {"query": "tokens"}, [{"type": "text", "text": secret}])
    log.run("Bash", {"command": "memctx hook"}, hook)
    log.text(f"I remember: {secret}")
    log.user(secret)
    found = messages(items(log, tmp_path))
    assert not [m for m in found if "ETS" in m.text or "memory-context" in m.text]
    assert found[0].text == "What is next?"
    assert found[-1].text == "I remember:"


def test_images_become_a_note(tmp_path: Path) -> None:
    log = ClaudeLog()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png",
             "data": "A" * 12_345}}  # fmt: skip
    log.user([{"type": "text", "text": "See this"}, image])
    log.run("Read", {"file_path": "/x/shot.png"}, [image])
    log.run("Bash", {"command": "cat key"}, f"data:image/gif;base64,{'QUJD' * 40} and {'x9' * 900}")
    note = "[image/gif left out, 182 characters] and [encoded data left out, 1,800 characters]"
    assert [m.text for m in messages(items(log, tmp_path)) if m.role != "assistant"] == [
        "See this\n[image/png left out, 12,345 characters]",
        "Read /x/shot.png → ok\n[image/png left out, 12,345 characters]",
        f"Bash cat key → exit 0\n{note}",
    ]


def test_a_long_output_keeps_head_tail_and_size(tmp_path: Path) -> None:
    log = ClaudeLog()
    output = "\n".join(f"line {number}" for number in range(5_000))
    log.run("Bash", {"command": "seq"}, output)
    text = messages(items(log, tmp_path))[-1].text
    assert 3_500 < len(text) <= 4_000
    assert text.startswith("Bash seq → exit 0\nline 0\nline 1\n")
    assert text.endswith("line 4998\nline 4999")
    assert " characters left out …\n" in text
    left_out = int(text.split("… ")[1].split(" ")[0].replace(",", ""))
    assert len(text) + left_out == pytest.approx(len(output), abs=80)


def test_an_edit_shows_the_lines_that_differ(tmp_path: Path) -> None:
    log = ClaudeLog()
    old = "\n".join(["import os", *[f"x{n} = {n}" for n in range(10)], "return 1", "# end"])
    new = old.replace("return 1", "return 2\nlog()")
    log.run(
        "Edit",
        {"file_path": f"{FOLDER}/a.py", "old_string": old, "new_string": new},
        f"The file {FOLDER}/a.py has been updated. Here's the result of running `cat -n`:\n 1→x",
    )
    call, result = messages(items(log, tmp_path))
    assert call.text == (
        "Edit: a.py\n  x7 = 7\n  x8 = 8\n  x9 = 9\n- return 1\n+ return 2\n+ log()\n  # end"
    )
    assert result.text == "Edit a.py → ok"


def test_a_failed_edit_keeps_its_reason(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.run(
        "Edit",
        {"file_path": f"{FOLDER}/a.py", "old_string": "a", "new_string": "b"},
        "<tool_use_error>String to replace not found in file.</tool_use_error>",
        error=True,
    )
    assert messages(items(log, tmp_path))[-1].text == (
        "Edit a.py → failed\nString to replace not found in file."
    )


@pytest.mark.parametrize(
    ("output", "extra", "state"),
    [
        ("The user doesn't want to proceed with this tool use. The tool", {}, "rejected"),
        ("partial", {"toolUseResult": {"interrupted": True}}, "interrupted"),
        ("Command running in background with ID: b1", {}, "background"),
        ("", {"toolUseResult": {"backgroundTaskId": "b1"}}, "background"),
    ],
)
def test_states_of_a_call(
    tmp_path: Path, output: str, extra: dict[str, object], state: str
) -> None:
    log = ClaudeLog()
    call_id, _ = log.call("Bash", {"command": "make"})
    log.result(call_id, output, **extra)
    result = messages(items(log, tmp_path))[-1]
    assert result.metadata["state"] == state
    assert result.text.startswith(f"Bash make → {state}")


def test_any_tool_is_its_name_and_arguments(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.run("mcp__jira__get", {"key": "SHOP-7", "fields": ["title", 2], "deep": {"a": None}}, "ok")
    call, result = messages(items(log, tmp_path))
    assert call.text == 'mcp__jira__get\nkey: SHOP-7\nfields: ["title", 2]\ndeep: {"a": null}'
    assert result.text == "mcp__jira__get → ok\nok"


def test_an_answered_question_holds_question_and_answer(tmp_path: Path) -> None:
    log = ClaudeLog()
    question = {"question": "Which store?", "options": [{"label": "ETS"}, {"label": "Redis"}]}
    answer = 'User has answered your questions: "Which store?"="ETS"'
    log.run("AskUserQuestion", {"questions": [question]}, answer)
    call, result = messages(items(log, tmp_path))
    assert call.text == "AskUserQuestion\nWhich store? (ETS / Redis)"
    assert result.text.endswith('"Which store?"="ETS"')


def test_several_blocks_in_one_line_are_told_apart(tmp_path: Path) -> None:
    log = ClaudeLog()
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "I read."},
        {"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "/a"}},
        {"type": "tool_use", "id": "t2", "name": "Read", "input": {"file_path": "/b"}},
    ]
    source = log.add("assistant", message={"id": "m", "model": "x", "content": blocks})
    both = [{"type": "tool_result", "tool_use_id": t, "content": t} for t in ("t1", "t2")]
    log.user([*both, {"type": "text", "text": "and then?"}])
    found = messages(items(log, tmp_path))
    assert len({m.id for m in found}) == len(found) == 7
    assert {m.source_id for m in found[:4]} == {source}
    assert [m.text for m in found[4:]] == ["Read /a → ok\nt1", "Read /b → ok\nt2", "and then?"]


def test_a_line_written_twice_counts_once(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("once")
    log.text("said")
    log.lines += log.lines
    assert len(messages(items(log, tmp_path))) == 2


def test_missing_times_ids_and_names_are_survived(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(
        '{"type":"user","sessionId":"s","message":{"content":"a"},"timestamp":"yesterday"}\n'
        '{"type":"user","sessionId":"s","message":{"content":"b"},"timestamp":"2026-03-01T12:00:00Z"}\n'
        '{"type":"user","message":{"content":"c"},"cwd":7,"gitBranch":"HEAD"}\n'
        '{"type":"assistant","message":{"content":[{"type":"tool_use"},{"type":"text"}]}}\n'
        '{"type":"user","message":{"content":[{"type":"tool_result"},null,3,"d"]}}\n'
    )
    found = list(read(path, "claude-code"))
    said = messages(found)
    assert [m.text for m in said] == ["a", "b", "c", "tool", "tool → ok", "d"]
    assert [m.source_id for m in said][:3] == ["line-1", "line-2", "line-3"]
    assert said[2].created_at == said[1].created_at == STARTED
    assert sessions(found)[0].cwd is None


def test_a_name_that_the_user_gave_is_the_title(tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user("Fix the parser")
    log.raw(json.dumps({"type": "custom-title", "customTitle": "Parser", "sessionId": SESSION}))
    assert ends(items(log, tmp_path))[0].title == "Parser"
