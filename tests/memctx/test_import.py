"""`memctx import` into a real hub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sync_agent.documents import Checkpoint, Session
from tests.memory_core.transcripts.builders import SESSION, ClaudeLog, CodexLog
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


def stored(hub: Hub, project: str | None = None) -> dict[str, list[str]]:
    """Returns the messages of every session by their source ids, in order."""
    with hub.client() as client:
        return {
            session["source_id"] or "": [
                message["source_id"] or "" for message in client.sessions.messages(session["id"])
            ]
            for session in client.sessions.list(project=project)
        }


@dataclass
class Place:
    """A project of its own at a shared hub, a user of its own, and an agent's session id."""

    hub: Hub
    project: str
    home: Path
    session: str = field(default_factory=lambda: str(uuid.uuid4()))

    def log(self, **more: Any) -> ClaudeLog:
        return ClaudeLog(self.session, **more)

    def another(self) -> ClaudeLog:
        return ClaudeLog(str(uuid.uuid4()))

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        options["env"] = {"HOME": str(self.home)} | options.get("env", {})
        return self.hub.memctx("import", *arguments, "--project", self.project, **options)

    def imported(self, *arguments: str, **options: Any) -> dict[str, Any]:
        done = self.run("--json", *arguments, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        report: dict[str, Any] = json.loads(done.stdout)["data"]
        return report

    @property
    def stored(self) -> dict[str, list[str]]:
        return stored(self.hub, self.project)

    def sessions(self) -> list[Session]:
        with self.hub.client() as client:
            return list(client.sessions.list(project=self.project))

    def checkpoints(self) -> list[Checkpoint]:
        with self.hub.client() as client:
            return list(client.checkpoints.list(project=self.project))


@pytest.fixture
def place(hub: Hub, tmp_path: Path) -> Place:
    home = tmp_path / "home"
    home.mkdir()
    name = f"acme/p{uuid.uuid4().hex[:12]}"
    with hub.client() as client:
        client.projects.ensure({"slug": name})
    return Place(hub, name, home)


def test_a_session_is_there_as_it_was_said(place: Place, tmp_path: Path) -> None:
    path = talk(place.log(), 3).write(tmp_path / "t" / "a.jsonl")
    report = place.imported(str(path))
    assert counts(report) == (1, 12, 1, 0)
    assert (report["files"], report["unchanged"], report["malformed_lines"]) == (1, 0, 0)
    (session,), (checkpoint,) = place.sessions(), place.checkpoints()
    with place.hub.client() as client:
        said = [message["text"] for message in client.sessions.messages(session["id"])]
    assert session["title"] == "question 0 about the parser"
    assert session["agent"] == "claude-code"
    assert session["source_id"] == place.session
    assert session["ended_at"] is not None
    assert session["ended_at"] > session["started_at"]
    assert session["summary"]
    assert said[0] == "question 0 about the parser"
    assert said[-1] == "answer 2"
    assert checkpoint["session_id"] == session["id"]
    assert "answer 2" in checkpoint["description"]


def test_a_second_run_adds_nothing(place: Place, tmp_path: Path) -> None:
    talk(place.log(), 40).write(tmp_path / "t" / "a.jsonl")
    CodexLog().write(tmp_path / "t" / "empty.jsonl")
    rollout = CodexLog(str(uuid.uuid4()))
    rollout.said("user", "why is it slow?")
    rollout.said("assistant", "because of the index")
    rollout.write(tmp_path / "t" / "rollout.jsonl")
    first = place.imported(str(tmp_path / "t"))
    assert counts(first)[:2] == (2, 162)
    before = place.stored

    def head() -> int:
        with place.hub.client() as client:
            return next(client.projects.list(slug=place.project))["head"]

    was = head()
    again = place.imported(str(tmp_path / "t"))
    assert counts(again) == (0, 0, 0, 0)
    assert again["unchanged"] == 2, "a file with nothing to keep leaves nothing to prove it by"
    forced = place.imported("--force", str(tmp_path / "t"))
    assert counts(forced)[:3] == (0, 0, 0)
    assert counts(forced)[3] == sum(counts(first)[:3])
    assert place.stored == before
    assert head() == was


def test_a_grown_file_adds_only_what_is_new(place: Place, tmp_path: Path) -> None:
    log = talk(place.log(), 5)
    path = log.write(tmp_path / "a.jsonl")
    place.imported(str(path))
    talk(log, 2, begin=5).write(path)
    report = place.imported(str(path))
    assert counts(report) == (0, 8, 1, 1 + 20)
    (messages,) = place.stored.values()
    assert len(messages) == len(set(messages)) == 28
    (session,) = place.sessions()
    assert "answer 6" in session["summary"]


def test_a_title_changed_by_hand_stays(place: Place, tmp_path: Path) -> None:
    log = talk(place.log(), 2)
    path = log.write(tmp_path / "a.jsonl")
    place.imported(str(path))
    (session,) = place.sessions()
    place.hub.json("sessions", "edit", session["id"], "--title", "Mine")
    talk(log, 1, begin=2).write(path)
    place.imported(str(path))
    (after,) = place.sessions()
    assert after["title"] == "Mine"
    assert "answer 2" in after["summary"]


def test_what_was_deleted_stays_deleted(place: Place, tmp_path: Path) -> None:
    log = talk(place.log(), 2)
    path = log.write(tmp_path / "a.jsonl")
    place.imported(str(path))
    (session,) = place.sessions()
    place.hub.json("sessions", "delete", session["id"], "--erase", "--yes")
    talk(log, 1, begin=2).write(path)
    report = place.imported(str(path))
    assert counts(report)[:3] == (0, 0, 0)
    assert sum(project["deleted"] for project in report["projects"]) > 0
    assert place.sessions() == []
    assert place.checkpoints() == []


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


def test_subagents_become_children_in_the_same_project(hub: Hub, tmp_path: Path) -> None:
    """Although the subagent worked in a folder that would be another project."""
    session = str(uuid.uuid4())
    talk(ClaudeLog(session), 2).write(tmp_path / f"{session}.jsonl")
    child = ClaudeLog(session, agent="a1b2c3")
    child.user("find the parser", cwd="/somewhere/else")
    child.text("it is in src")
    child.write(tmp_path / session / "subagents" / "agent-a1b2c3.jsonl")
    hub.json("import", str(tmp_path))
    with hub.client() as client:
        found = {each["source_id"]: each for each in client.sessions.list()}
    parent, below = found[session], found[f"{session}/a1b2c3"]
    assert below["parent_session_id"] == parent["id"]
    assert below["project_id"] == parent["project_id"]


def test_a_subagent_whose_parent_is_not_there_is_kept(place: Place, tmp_path: Path) -> None:
    child = place.log(agent="a1b2c3")
    child.user("find the parser")
    child.text("it is in src")
    report = place.imported(str(child.write(tmp_path / "agent.jsonl")))
    assert counts(report)[:2] == (1, 2)
    assert report["problems"] == []


def test_the_project_comes_from_the_repository(hub: Hub, tmp_path: Path) -> None:
    work = tmp_path / "shop"
    work.mkdir()
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    remote = ["git", "-C", str(work), "remote", "add", "origin", "git@GitHub.com:Acme/Shop.git"]
    subprocess.run(remote, check=True)
    log = ClaudeLog(str(uuid.uuid4()))
    log.user("hello", cwd=str(work))
    log.text("hi")
    report = hub.json("import", str(log.write(tmp_path / "a.jsonl")))
    (project,) = report["projects"]
    assert (project["project"], project["identity"]) == ("acme/shop", "remote")
    assert project["weak"] is False
    shown = hub.json("projects", "show", cwd=work)
    assert shown["remotes"] == ["github.com/acme/shop"]


def test_a_path_is_shown_as_weak(hub: Hub, tmp_path: Path) -> None:
    path = talk(ClaudeLog(str(uuid.uuid4())), 1).write(tmp_path / "a.jsonl")
    done = hub.memctx("import", str(path))
    assert done.returncode == 0
    assert "path (weak)" in done.stdout
    assert "not shared between machines" in done.stderr


def test_a_named_project_is_made(hub: Hub, tmp_path: Path) -> None:
    path = talk(ClaudeLog(str(uuid.uuid4())), 1).write(tmp_path / "a.jsonl")
    report = hub.json("import", str(path), "--project", "acme/named")
    assert [each["project"] for each in report["projects"]] == ["acme/named"]
    assert "acme/named" in slugs(hub)


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


def test_a_malformed_line_is_reported_and_the_rest_goes_on(place: Place, tmp_path: Path) -> None:
    log = talk(place.log(), 1)
    log.raw('{"type": "user", "message": {broken')
    talk(log, 1, begin=1)
    log.raw('{"type": "assistant", "trunca')
    path = log.write(tmp_path / "a.jsonl", end="")
    report = place.imported(str(path))
    assert counts(report)[:2] == (1, 8)
    assert [(each["file"], each["line"]) for each in report["malformed"]] == [(str(path), 5)]
    human = place.run(str(path))
    assert f"{path}:5:" in human.stderr
    assert human.returncode == 0


def test_a_binary_file_is_refused_by_name_and_the_rest_goes_on(
    place: Place, tmp_path: Path
) -> None:
    good = talk(place.log(), 1).write(tmp_path / "t" / "a.jsonl")
    bad = tmp_path / "t" / "b.jsonl"
    bad.write_bytes(os.urandom(5_000))
    done = place.run("--json", str(bad), str(good))
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert str(bad) in error["detail"]
    assert counts(error["report"])[:2] == (1, 4)
    assert place.run(str(tmp_path / "t")).returncode == 0


def test_since_leaves_out_older_files(place: Place, tmp_path: Path) -> None:
    old = talk(place.log(), 1).write(tmp_path / "old.jsonl")
    talk(place.another(), 1).write(tmp_path / "new.jsonl")
    os.utime(old, (1_700_000_000, 1_700_000_000))
    assert place.imported(str(tmp_path), "--since", "7d")["files"] == 1


def test_a_dry_run_sends_nothing_and_needs_no_hub(place: Place, tmp_path: Path) -> None:
    path = talk(place.log(), 3).write(tmp_path / "a.jsonl")
    nowhere = {"MEMCTX_URL": "http://127.0.0.1:1"}
    report = place.imported("--dry-run", str(path), env=nowhere)
    assert report["dry_run"] is True
    assert counts(report)[:2] == (1, 12)
    assert place.sessions() == []


def test_without_a_path_the_agents_folders_are_searched(place: Place, tmp_path: Path) -> None:
    talk(place.log(), 1).write(tmp_path / "claude" / "projects" / "-home-dev" / "a.jsonl")
    rollout = CodexLog(str(uuid.uuid4()))
    rollout.said("user", "hello")
    rollout.said("assistant", "hi")
    rollout.write(tmp_path / "codex" / "sessions" / "2026" / "03" / "01" / "rollout-1.jsonl")
    moved = {"CLAUDE_CONFIG_DIR": str(tmp_path / "claude"), "CODEX_HOME": str(tmp_path / "codex")}
    assert place.imported(env=moved)["files"] == 2
    assert place.imported("--agent", "codex", "--force", env=moved)["files"] == 1
    assert place.imported()["files"] == 0


def test_long_sessions_go_in_bounded_batches(place: Place, tmp_path: Path) -> None:
    log = place.log()
    for number in range(30):
        log.user(f"{number} " + "word " * 20_000)
    path = log.write(tmp_path / "a.jsonl")
    assert counts(place.imported(str(path)))[:2] == (1, 30)
    (messages,) = place.stored.values()
    assert len(messages) == 30


def test_a_broken_marker_in_one_repository_leaves_the_others(hub: Hub, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / ".memctx.toml").write_text("[project\n")
    bad = ClaudeLog(str(uuid.uuid4()))
    bad.user("hello", cwd=str(broken))
    bad.write(tmp_path / "t" / "a.jsonl")
    talk(ClaudeLog(str(uuid.uuid4())), 1).write(tmp_path / "t" / "b.jsonl")
    done = hub.memctx("--json", "import", str(tmp_path / "t"))
    assert done.returncode == 1
    report = json.loads(done.stdout)["error"]["report"]
    assert counts(report)[:2] == (1, 4)
    assert ".memctx.toml" in report["problems"][0]["reason"]


def test_two_repositories_with_one_slug_stay_two_projects(hub: Hub, tmp_path: Path) -> None:
    for number, host in enumerate(("github.com", "gitlab.com")):
        remote = {"repository_url": f"https://{host}/acme/twice.git", "branch": "main"}
        rollout = CodexLog(str(uuid.uuid4()), git=remote)
        rollout.said("user", "hello")
        rollout.said("assistant", "hi")
        rollout.write(tmp_path / f"{number}.jsonl")
    hub.json("import", str(tmp_path))
    again = hub.json("import", "--force", str(tmp_path))
    assert counts(again)[:3] == (0, 0, 0)
    assert sorted(slug for slug in slugs(hub) if "twice" in slug) == [
        "acme/twice",
        "gitlab.com/acme/twice",
    ]
