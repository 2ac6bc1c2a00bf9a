"""`memctx import` into a real hub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.memory_core.transcripts.builders import CODEX_SESSION, SESSION, ClaudeLog, CodexLog
from tests.support.hub import Hub, running_hub

SECRET = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"


def talk(log: ClaudeLog, turns: int, begin: int = 0) -> ClaudeLog:
    for number in range(begin, begin + turns):
        log.user(f"question {number} about the parser")
        log.run("Bash", {"command": f"pytest -k {number}"}, f"{number} passed")
        log.text(f"answer {number}", f"msg_answer_{number}")
    return log


def counts(report: dict[str, Any]) -> tuple[int, int, int, int]:
    """Returns sessions, messages and checkpoints that are new, and all that were there."""
    projects = report["projects"]
    known = ("sessions_known", "messages_known", "checkpoints_known")
    return (
        sum(each["sessions"] for each in projects),
        sum(each["messages"] for each in projects),
        sum(each["checkpoints"] for each in projects),
        sum(each[name] for each in projects for name in known),
    )


def stored(hub: Hub) -> dict[str, list[str]]:
    """Returns every session's messages at the hub by their source ids, in order."""
    with hub.client() as client:
        return {
            session["source_id"] or "": [
                message["source_id"] or "" for message in client.sessions.messages(session["id"])
            ]
            for session in client.sessions.list()
        }


def test_a_session_is_there_as_it_was_said(fresh_hub: Hub, tmp_path: Path) -> None:
    path = talk(ClaudeLog(), 3).write(tmp_path / "t" / "a.jsonl")
    report = fresh_hub.json("import", str(path))
    assert counts(report) == (1, 12, 1, 0)
    assert (report["files"], report["unchanged"], report["malformed_lines"]) == (1, 0, 0)
    with fresh_hub.client() as client:
        (session,) = client.sessions.list()
        said = [message["text"] for message in client.sessions.messages(session["id"])]
        (checkpoint,) = client.checkpoints.list()
    assert session["title"] == "question 0 about the parser"
    assert session["agent"] == "claude-code"
    assert session["source_id"] == SESSION
    assert session["ended_at"] > session["started_at"]
    assert session["summary"]
    assert said[0] == "question 0 about the parser"
    assert said[-1] == "answer 2"
    assert checkpoint["session_id"] == session["id"]
    assert "answer 2" in checkpoint["description"]


def test_a_second_run_adds_nothing(fresh_hub: Hub, tmp_path: Path) -> None:
    talk(ClaudeLog(), 40).write(tmp_path / "t" / "a.jsonl")
    CodexLog().write(tmp_path / "t" / "empty.jsonl")
    rollout = CodexLog(CODEX_SESSION.replace("aa", "bb"))
    rollout.said("user", "why is it slow?")
    rollout.said("assistant", "because of the index")
    rollout.write(tmp_path / "t" / "rollout.jsonl")
    first = fresh_hub.json("import", str(tmp_path / "t"))
    assert counts(first)[:2] == (2, 162)
    before = stored(fresh_hub)
    with fresh_hub.client() as client:
        heads = {project["slug"]: project["head"] for project in client.projects.list()}

    again = fresh_hub.json("import", str(tmp_path / "t"))
    assert counts(again) == (0, 0, 0, 0)
    assert again["unchanged"] == 2, "a file with nothing to keep leaves nothing to prove it by"
    forced = fresh_hub.json("import", "--force", str(tmp_path / "t"))
    assert counts(forced)[:3] == (0, 0, 0)
    assert counts(forced)[3] == sum(counts(first)[:3])
    assert stored(fresh_hub) == before
    with fresh_hub.client() as client:
        assert {p["slug"]: p["head"] for p in client.projects.list()} == heads


def test_a_grown_file_adds_only_what_is_new(fresh_hub: Hub, tmp_path: Path) -> None:
    log = talk(ClaudeLog(), 5)
    path = log.write(tmp_path / "a.jsonl")
    fresh_hub.json("import", str(path))
    talk(log, 2, begin=5).write(path)
    report = fresh_hub.json("import", str(path))
    assert counts(report) == (0, 8, 1, 1 + 20)
    (messages,) = stored(fresh_hub).values()
    assert len(messages) == len(set(messages)) == 28
    with fresh_hub.client() as client:
        (session,) = client.sessions.list()
    assert "answer 6" in session["summary"]


def test_a_title_changed_by_hand_stays(fresh_hub: Hub, tmp_path: Path) -> None:
    log = talk(ClaudeLog(), 2)
    path = log.write(tmp_path / "a.jsonl")
    fresh_hub.json("import", str(path))
    with fresh_hub.client() as client:
        (session,) = client.sessions.list()
    fresh_hub.json("sessions", "edit", session["id"], "--title", "Mine")
    talk(log, 1, begin=2).write(path)
    fresh_hub.json("import", str(path))
    with fresh_hub.client() as client:
        after = client.sessions.get(session["id"])
    assert after["title"] == "Mine"
    assert "answer 2" in after["summary"]


def test_what_was_deleted_stays_deleted(fresh_hub: Hub, tmp_path: Path) -> None:
    log = talk(ClaudeLog(), 2)
    path = log.write(tmp_path / "a.jsonl")
    fresh_hub.json("import", str(path))
    with fresh_hub.client() as client:
        (session,) = client.sessions.list()
    fresh_hub.json("sessions", "delete", session["id"], "--erase", "--yes")
    talk(log, 1, begin=2).write(path)
    report = fresh_hub.json("import", str(path))
    assert counts(report)[:3] == (0, 0, 0)
    assert sum(project["deleted"] for project in report["projects"]) > 0
    with fresh_hub.client() as client:
        assert list(client.sessions.list()) == []
        assert list(client.checkpoints.list()) == []


def test_another_hub_gets_everything(tmp_path: Path) -> None:
    """What a client remembers of one hub never makes it skip a file for another."""
    path = talk(ClaudeLog(), 2).write(tmp_path / "a.jsonl")
    home = tmp_path / "home"
    home.mkdir()
    with running_hub(tmp_path / "one") as one:
        assert counts(one.json("import", str(path), env={"HOME": str(home)}))[0] == 1
        assert one.json("import", str(path), env={"HOME": str(home)})["unchanged"] == 1
        one.stop()
        shutil.rmtree(one.data_dir)
        one.start()
        again = one.json("import", str(path), env={"HOME": str(home)})
        assert counts(again) == (1, 8, 1, 0)


def test_a_restored_older_hub_gets_what_it_lacks(fresh_hub: Hub, tmp_path: Path) -> None:
    """An older copy of the data has the same projects and epochs, but not the same log."""
    first = talk(ClaudeLog(), 1).write(tmp_path / "a.jsonl")
    other = SESSION.replace("0f0e", "0a0b")
    second = talk(ClaudeLog(other), 1).write(tmp_path / "b.jsonl")
    fresh_hub.json("import", str(first))
    fresh_hub.stop()
    backup = tmp_path / "backup"
    shutil.copytree(fresh_hub.data_dir, backup)
    fresh_hub.start()
    fresh_hub.json("import", str(second))
    assert fresh_hub.json("import", str(first), str(second))["unchanged"] == 2
    fresh_hub.stop()
    shutil.rmtree(fresh_hub.data_dir)
    shutil.copytree(backup, fresh_hub.data_dir)
    fresh_hub.start()
    fresh_hub.json(
        "patterns", "add", "x", "--type", "code", "--project", next(iter(slugs(fresh_hub)))
    )
    report = fresh_hub.json("import", str(first), str(second))
    assert counts(report)[:2] == (1, 4)
    assert set(stored(fresh_hub)) == {SESSION, other}


def slugs(hub: Hub) -> list[str]:
    with hub.client() as client:
        return [project["slug"] for project in client.projects.list()]


def test_subagents_become_children_in_the_same_project(fresh_hub: Hub, tmp_path: Path) -> None:
    talk(ClaudeLog(), 2).write(tmp_path / f"{SESSION}.jsonl")
    child = ClaudeLog(agent="a1b2c3")
    child.user("find the parser", cwd="/somewhere/else")
    child.text("it is in src")
    child.write(tmp_path / SESSION / "subagents" / "agent-a1b2c3.jsonl")
    fresh_hub.json("import", str(tmp_path))
    with fresh_hub.client() as client:
        found = {session["source_id"]: session for session in client.sessions.list()}
    assert found.keys() == {SESSION, f"{SESSION}/a1b2c3"}
    parent, below = found[SESSION], found[f"{SESSION}/a1b2c3"]
    assert below["parent_session_id"] == parent["id"]
    assert below["project_id"] == parent["project_id"]


def test_a_subagent_whose_parent_is_not_there_is_kept(fresh_hub: Hub, tmp_path: Path) -> None:
    child = ClaudeLog(agent="a1b2c3")
    child.user("find the parser")
    child.text("it is in src")
    report = fresh_hub.json("import", str(child.write(tmp_path / "agent.jsonl")))
    assert counts(report)[:2] == (1, 2)
    assert report["problems"] == []


def test_the_project_comes_from_the_repository(fresh_hub: Hub, tmp_path: Path) -> None:
    work = tmp_path / "shop"
    work.mkdir()
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    remote = ["git", "-C", str(work), "remote", "add", "origin", "git@GitHub.com:Acme/Shop.git"]
    subprocess.run(remote, check=True)
    log = ClaudeLog()
    log.user("hello", cwd=str(work))
    log.text("hi")
    report = fresh_hub.json("import", str(log.write(tmp_path / "a.jsonl")))
    (project,) = report["projects"]
    assert (project["project"], project["identity"], project["weak"]) == (
        "acme/shop",
        "remote",
        False,
    )
    shown = fresh_hub.json("projects", "show", cwd=work)
    assert shown["remotes"] == ["github.com/acme/shop"]


def test_a_path_is_shown_as_weak(fresh_hub: Hub, tmp_path: Path) -> None:
    path = talk(ClaudeLog(), 1).write(tmp_path / "a.jsonl")
    done = fresh_hub.memctx("import", str(path))
    assert done.returncode == 0
    assert "path (weak)" in done.stdout
    assert "not shared between machines" in done.stderr


def test_a_project_can_be_named(fresh_hub: Hub, tmp_path: Path) -> None:
    path = talk(ClaudeLog(), 1).write(tmp_path / "a.jsonl")
    report = fresh_hub.json("import", str(path), "--project", "acme/named")
    assert [each["project"] for each in report["projects"]] == ["acme/named"]
    assert slugs(fresh_hub) == ["acme/named"]


def test_secrets_never_reach_the_hub(fresh_hub: Hub, tmp_path: Path) -> None:
    log = ClaudeLog()
    log.user(f"my token is {SECRET}")
    log.run("Bash", {"command": f"curl -H 'Authorization: token {SECRET}' x"}, f"echo {SECRET}")
    log.text(f"do not use {SECRET}")
    report = fresh_hub.json("import", str(log.write(tmp_path / "a.jsonl")))
    assert sum(report["redactions"].values()) >= 4
    fresh_hub.stop()
    for file in fresh_hub.folder.rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file


def test_a_malformed_line_is_reported_and_the_rest_goes_on(fresh_hub: Hub, tmp_path: Path) -> None:
    log = talk(ClaudeLog(), 1)
    log.raw('{"type": "user", "message": {broken')
    talk(log, 1, begin=1)
    log.raw('{"type": "assistant", "trunca')
    path = log.write(tmp_path / "a.jsonl", end="")
    report = fresh_hub.json("import", str(path))
    assert counts(report)[:2] == (1, 8)
    assert [(each["file"], each["line"]) for each in report["malformed"]] == [(str(path), 5)]
    human = fresh_hub.memctx("import", str(path))
    assert f"{path}:5:" in human.stderr
    assert human.returncode == 0


def test_a_binary_file_is_refused_by_name_and_the_rest_goes_on(
    fresh_hub: Hub, tmp_path: Path
) -> None:
    good = talk(ClaudeLog(), 1).write(tmp_path / "a.jsonl")
    bad = tmp_path / "b.jsonl"
    bad.write_bytes(os.urandom(5_000))
    done = fresh_hub.memctx("--json", "import", str(bad), str(good))
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert str(bad) in error["detail"]
    assert counts(error["report"])[:2] == (1, 4)
    assert fresh_hub.memctx("import", str(tmp_path)).returncode == 0


def test_since_leaves_out_older_files(fresh_hub: Hub, tmp_path: Path) -> None:
    old = talk(ClaudeLog(), 1).write(tmp_path / "old.jsonl")
    talk(ClaudeLog(SESSION.replace("0f0e", "0a0b")), 1).write(tmp_path / "new.jsonl")
    os.utime(old, (1_700_000_000, 1_700_000_000))
    report = fresh_hub.json("import", str(tmp_path), "--since", "7d")
    assert report["files"] == 1


def test_a_dry_run_sends_nothing_and_needs_no_hub(hub: Hub, tmp_path: Path) -> None:
    path = talk(ClaudeLog(), 3).write(tmp_path / "a.jsonl")
    nowhere = {"MEMCTX_URL": "http://127.0.0.1:1"}
    report = hub.json("import", "--dry-run", str(path), env=nowhere)
    assert report["dry_run"] is True
    assert counts(report)[:2] == (1, 12)
    assert slugs(hub) == []


def test_without_a_path_the_agents_folders_are_searched(fresh_hub: Hub, tmp_path: Path) -> None:
    talk(ClaudeLog(), 1).write(tmp_path / "claude" / "projects" / "-home-dev" / "a.jsonl")
    rollout = CodexLog()
    rollout.said("user", "hello")
    rollout.said("assistant", "hi")
    rollout.write(tmp_path / "codex" / "sessions" / "2026" / "03" / "01" / "rollout-1.jsonl")
    moved = {"CLAUDE_CONFIG_DIR": str(tmp_path / "claude"), "CODEX_HOME": str(tmp_path / "codex")}
    both = fresh_hub.json("import", env=moved)
    assert both["files"] == 2
    only = fresh_hub.json("import", "--agent", "codex", "--force", env=moved)
    assert only["files"] == 1
    assert fresh_hub.json("import")["files"] == 0


def test_long_sessions_go_in_bounded_batches(fresh_hub: Hub, tmp_path: Path) -> None:
    log = ClaudeLog()
    for number in range(30):
        log.user(f"{number} " + "word " * 20_000)
    path = log.write(tmp_path / "a.jsonl")
    assert counts(fresh_hub.json("import", str(path)))[:2] == (1, 30)
    (messages,) = stored(fresh_hub).values()
    assert len(messages) == 30


def test_a_broken_marker_in_one_repository_leaves_the_others(
    fresh_hub: Hub, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / ".memctx.toml").write_text("[project\n")
    bad = ClaudeLog(SESSION.replace("0f0e", "0a0b"))
    bad.user("hello", cwd=str(broken))
    bad.write(tmp_path / "t" / "a.jsonl")
    talk(ClaudeLog(), 1).write(tmp_path / "t" / "b.jsonl")
    done = fresh_hub.memctx("--json", "import", str(tmp_path / "t"))
    assert done.returncode == 1
    report = json.loads(done.stdout)["error"]["report"]
    assert counts(report)[:2] == (1, 4)
    assert ".memctx.toml" in report["problems"][0]["reason"]


def test_two_repositories_with_one_slug_stay_two_projects(fresh_hub: Hub, tmp_path: Path) -> None:
    for number, host in enumerate(("github.com", "gitlab.com")):
        rollout = CodexLog(
            CODEX_SESSION.replace("aa", f"b{number}"),
            git={"repository_url": f"https://{host}/acme/shop.git", "branch": "main"},
        )
        rollout.said("user", "hello")
        rollout.said("assistant", "hi")
        rollout.write(tmp_path / f"{number}.jsonl")
    fresh_hub.json("import", str(tmp_path))
    assert set(slugs(fresh_hub)) == {"acme/shop", "gitlab.com/acme/shop"}
    again = fresh_hub.json("import", "--force", str(tmp_path))
    assert counts(again)[:3] == (0, 0, 0)
    assert len(slugs(fresh_hub)) == 2
