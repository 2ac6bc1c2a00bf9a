"""Every command against a real hub: envelopes, human output, exit codes."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from memory_core.ids import uuid7
from tests.memctx.test_usage import commands
from tests.support.hub import Hub, run_memctx

ENVELOPE = {
    "type": "object",
    "required": ["status", "command", "duration_ms"],
    "properties": {
        "status": {"enum": ["success", "error"]},
        "command": {"type": "string", "pattern": "^[a-z]+( [a-z]+)*$"},
        "duration_ms": {"type": "number", "minimum": 0},
        "count": {"type": "integer", "minimum": 0},
        "data": True,
        "warnings": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "error": {
            "type": "object",
            "required": ["code", "title", "detail"],
            "properties": {
                "code": {"type": "string", "pattern": "^[a-z_]+$"},
                "title": {"type": "string", "minLength": 5},
                "detail": {"type": "string", "minLength": 5},
            },
        },
    },
    "additionalProperties": False,
    "if": {"properties": {"status": {"const": "success"}}},
    "then": {"required": ["count", "data"], "not": {"required": ["error"]}},
    "else": {"required": ["error"], "not": {"required": ["data"]}},
}
ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202eevil\x9b31m"


def envelope(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(found, ENVELOPE)
    assert (found["status"] == "success") == (done.returncode == 0)
    return found


class Known:
    """Ids of records that every command can work on."""

    def __init__(self, hub: Hub) -> None:
        self.project = "acme/shop"
        added = hub.json(
            "projects", "add", self.project, "--remote", "git@github.com:acme/shop.git"
        )
        self.project_id = added["id"]
        self.session = self.new(hub, "sessions", "add", "--title", "Fix the parser", "--tag", "x",
                                "--message", "user: why does the parser fail?",
                                "--message", "assistant: the lexer drops a newline")  # fmt: skip
        self.checkpoint = self.new(hub, "checkpoints", "add", "Parser works again", "--no-git")
        self.pattern = self.new(hub, "patterns", "add", "Run ruff first", "--type", "workflow")
        self.key: str = hub.json("keys", "create", "laptop")["id"]

    def new(self, hub: Hub, *arguments: str) -> str:
        identity: str = hub.json(*arguments, "--project", self.project)["id"]
        return identity


@pytest.fixture(scope="module")
def known(hub: Hub) -> Known:
    return Known(hub)


def calls(known: Known, tmp_path: Path) -> list[list[str]]:
    """Returns a good call of every command that does not start or stop a hub."""
    out, saved = str(tmp_path / "export.jsonl"), str(tmp_path / "backup.tar.gz")
    other = f"acme/{uuid7()[-12:]}"
    return [
        ["import", "--dry-run", str(tmp_path)],
        ["search", "why", "does", "the", "parser", "fail"],
        ["search", "parser", "--project", known.project, "--kind", "message", "--tag", "x",
         "--since", "7d", "--until", "2999-01-01", "--min-score", "0", "--explain", "-n", "3"],
        ["context", "parser", "--project", known.project, "--budget", "500"],
        ["sessions", "list"],
        ["sessions", "list", "--tag", "x", "--status", "active", "--since", "yesterday", "--all"],
        ["sessions", "show", known.session],
        ["sessions", "add", "--title", "t", "--project", known.project],
        ["sessions", "append", known.session, "user: thanks"],
        ["sessions", "edit", known.session, "--summary", "done", "--add-tag", "y"],
        ["checkpoints", "list", "--project", known.project],
        ["checkpoints", "show", known.checkpoint],
        ["checkpoints", "add", "x", "--project", known.project],
        ["patterns", "list", "--type", "workflow", "--current"],
        ["patterns", "show", known.pattern],
        ["patterns", "add", "y", "--type", "error", "--cite", "a.py#f", "--project", known.project],
        ["patterns", "edit", known.pattern, "--body", "ruff check", "--confidence", "0.9"],
        ["patterns", "outcome", known.pattern, "worked"],
        ["projects", "list"],
        ["projects", "show", known.project],
        ["projects", "show", known.project_id],
        ["projects", "add", other],
        ["projects", "edit", other, "--add-remote", f"https://github.com/{other}"],
        ["projects", "rename", other, f"{other}-renamed"],
        ["tags"],
        ["conflicts", "list"],
        ["status"],
        ["keys", "list"],
        ["keys", "create", "ci", "--scope", "read", "--project", known.project],
        ["keys", "rotate", known.key, "--overlap", "0.5", "--expires", "2999-01-01"],
        ["tenants", "list"],
        ["tenants", "add", other, "--owner", "grace"],
        ["model", "status"],
        ["export", out],
        ["import", out],
        ["backup", saved],
        ["backup", "verify", saved],
        ["restore", "--merge", saved],
        ["erasures", "export", str(tmp_path / "erasures.jsonl")],
        ["audit", "list"],
        ["audit", "verify"],
        ["log", "verify"],
        ["rebuild"],
        ["doctor"],
        ["config", "show"],
        ["completion", "bash"],
        ["version"],
    ]  # fmt: skip


STARTED_ELSEWHERE = {
    "index verify", "index repair", "index rebuild",
    "serve", "stop", "migrate", "worker", "model install", "keys revoke",
    "sessions delete", "checkpoints delete", "patterns delete",
    # They work on a repository of their own: test_replica, test_agent, test_sync, test_remote.
    "init", "conflicts show", "conflicts resolve",
    "sync now", "sync verify", "sync repair", "sync status",
    "agent run", "agent start", "agent stop", "agent status", "agent pause", "agent resume",
    "agent install", "agent uninstall",
    "rejected list", "rejected show", "rejected edit", "rejected resend", "rejected discard",
    "remote add", "remote list", "remote remove",
}  # fmt: skip


def test_every_command_speaks_the_envelope(hub: Hub, known: Known, tmp_path: Path) -> None:
    called: set[str] = set()
    may_fail = {"doctor", "model status"}
    for arguments in calls(known, tmp_path):
        done = hub.memctx(*arguments, "--json")
        found = envelope(done)
        called.add(found["command"])
        if found["command"] not in may_fail:
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    assert called | STARTED_ELSEWHERE == {name for name, _ in commands()}


def test_every_command_speaks_to_people(hub: Hub, known: Known, tmp_path: Path) -> None:
    for arguments in calls(known, tmp_path):
        done = hub.memctx(*arguments)
        assert done.returncode == 0 or arguments[0] in {"doctor", "model"}, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stdout + done.stderr


def test_errors_speak_the_envelope(hub: Hub, known: Known) -> None:
    nothing = "0198c5e2-0000-7000-8000-000000000000"
    wrong = {"MEMCTX_API_KEY": "mctx_0123456789ab_" + "x" * 43}
    for code, returned, arguments, environ in (
        ("not_found", 1, ["sessions", "show", nothing], {}),
        ("invalid_id", 2, ["sessions", "show", "nonsense"], {}),
        ("project_not_found", 1, ["search", "x", "--project", "no/such"], {}),
        ("unauthorized", 1, ["search", "x"], wrong),
        ("unauthorized", 1, ["search", "x"], {"MEMCTX_API_KEY": ""}),
        ("invalid_slug", 2, ["projects", "add", "../../etc"], {}),
        ("precondition_failed", 1,
         ["patterns", "edit", known.pattern, "--name", "z", "--if-match", nothing], {}),
        ("project_not_found", 1, ["context"], {}),
    ):  # fmt: skip
        done = hub.memctx("--json", *arguments, env=environ)
        assert envelope(done)["error"]["code"] == code, done.stdout
        assert done.returncode == returned
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


def test_a_missing_key_is_told_apart_from_a_wrong_one(hub: Hub) -> None:
    none = hub.memctx("search", "x", env={"MEMCTX_API_KEY": ""})
    assert "set MEMCTX_API_KEY" in none.stderr
    wrong = hub.memctx("search", "x", env={"MEMCTX_API_KEY": "mctx_0123456789ab_" + "x" * 43})
    assert "the key of environment is not this hub's" in wrong.stderr


def test_a_key_with_too_small_a_scope_is_told_so(hub: Hub, known: Known) -> None:
    made = hub.json("keys", "create", "reader", "--scope", "read")
    reader = {"MEMCTX_API_KEY": made["key"]}
    assert hub.memctx("search", "parser", env=reader).returncode == 0
    refused = hub.memctx("--json", "patterns", "outcome", known.pattern, "worked", env=reader)
    assert envelope(refused)["error"]["code"] == "forbidden"
    shown = hub.memctx("status", env=reader)
    assert shown.returncode == 0
    assert "only its readiness" in shown.stderr
    assert hub.memctx("keys", "revoke", made["id"], "--yes").returncode == 0
    assert (
        envelope(hub.memctx("--json", "search", "x", env=reader))["error"]["code"] == "unauthorized"
    )


def test_records_are_deleted_after_a_confirmation(hub: Hub, known: Known) -> None:
    made = {
        "sessions": known.new(hub, "sessions", "add", "--title", "gone"),
        "checkpoints": known.new(hub, "checkpoints", "add", "gone", "--no-git"),
        "patterns": known.new(hub, "patterns", "add", "gone", "--type", "code"),
    }
    for kind, identity in made.items():
        assert hub.memctx(kind, "delete", identity).returncode == 2
        assert (
            envelope(hub.memctx("--json", kind, "delete", identity, "-y"))["data"]["result"]
            == "deleted"
        )
        assert hub.memctx(kind, "show", identity).returncode == 1
    erased = known.new(hub, "sessions", "add", "--title", "erased")
    assert hub.memctx("sessions", "delete", erased, "--erase", "--yes").returncode == 0


def test_hostile_text_never_steers_the_terminal(hub: Hub, known: Known) -> None:
    """Title, text, tags and names all come from elsewhere."""
    with hub.client() as client:
        session = client.sessions.create(
            {
                "project": known.project,
                "title": "hostile \u202etitle\u2066",
                "agent": "a\u200b\u2028b",
                "messages": [{"role": "user", "text": f"hostile words {ESCAPES}"}],
            }
        )
    for arguments in (
        ["search", "hostile", "words"],
        ["context", "hostile words", "--project", known.project],
        ["sessions", "show", session["id"]],
        ["sessions", "list"],
    ):
        shown = on_terminal(hub, *arguments)
        body = shown.replace("\x1b[0m", "")
        for code in ("1", "2", "31", "32", "33", "33;1", "36", "36;1", "1;36"):
            body = body.replace(f"\x1b[{code}m", "")
        assert not set(body) & set("\x1b\x07\x9b\u202e\u2066\u200b\u2028"), (arguments, body)
        piped = hub.memctx("--json", *arguments)
        assert not set(piped.stdout) & set("\x1b\x07\x9b\u202e\u2066\u200b\u2028")
    exact = hub.json("sessions", "show", session["id"])
    assert exact["messages"][0]["text"] == f"hostile words {ESCAPES}"
    assert exact["title"] == "hostile \u202etitle\u2066"


def on_terminal(hub: Hub, *arguments: str) -> str:
    """Runs `memctx` on a pseudo-terminal and returns what it wrote there."""
    ours, theirs = pty.openpty()
    environ = hub.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "memctx", *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=hub.folder,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while True:
        readable, _, _ = select.select([ours], [], [], 60)
        assert readable, "the command hangs"
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    process.wait(60)
    return said.decode()


def test_a_terminal_gets_colour_unless_it_is_not_wanted(hub: Hub, known: Known) -> None:
    assert "\x1b[1mparser\x1b[0m" in on_terminal(hub, "search", "parser", "fails")
    assert "\x1b[" not in on_terminal(hub, "search", "parser", "--no-color")


def test_no_color_is_honoured(hub: Hub, known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Hub(hub.folder, hub.port, extra={"NO_COLOR": "1"})
    assert "\x1b[" not in on_terminal(plain, "search", "parser")
    assert "\x1b[" not in on_terminal(plain, "projects", "list").replace("\x1b[0m", "")


def test_quiet_leaves_only_data(hub: Hub, known: Known) -> None:
    done = hub.memctx("-q", "patterns", "add", "z", "--type", "code", "--project", known.project)
    assert done.stderr == ""
    assert len(done.stdout.strip()) == 36


def test_a_reader_that_has_had_enough_is_no_error(hub: Hub, known: Known) -> None:
    command = f"{sys.executable} -m memctx export - | head -c 10"
    done = subprocess.run(
        ["bash", "-c", command], env=hub.environ, cwd=hub.folder, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert len(done.stdout) == 10
    assert "Traceback" not in done.stderr


def test_text_can_come_from_a_file_and_from_standard_input(
    hub: Hub,
    known: Known,
    tmp_path: Path,
) -> None:
    (tmp_path / "lesson.md").write_text("from a file\n")
    made = hub.json(
        "patterns", "add", "f", "--type", "code", "--body", f"@{tmp_path}/lesson.md",
        "--description", "-", "--project", known.project, input="from a pipe",
    )  # fmt: skip
    assert (made["body"], made["description"]) == ("from a file\n", "from a pipe")
    missing = hub.memctx("patterns", "edit", made["id"], "--body", "@/no/such/file")
    assert missing.returncode == 1
    assert "No such file" in missing.stderr


def test_the_folder_names_the_project(hub: Hub, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / ".memctx.toml").write_text('[project]\nslug = "acme/marked"\n')
    saved = hub.json("checkpoints", "add", "half way", cwd=work)
    assert saved["project"] == "acme/marked"
    assert hub.json("projects", "show", cwd=work)["slug"] == "acme/marked"
    assert hub.memctx("context", "way", cwd=work).returncode == 0
    narrowed = hub.json("search", "half", "--project", ".", cwd=work)
    assert {hit["project"] for hit in narrowed["hits"]} <= {"acme/marked"}


def test_a_checkpoint_records_the_state_of_git(hub: Hub, tmp_path: Path) -> None:
    work = tmp_path / "repo"
    work.mkdir()
    git = ["git", "-C", str(work), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run([*git, "init", "-q", "-b", "topic"], check=True)
    (work / "a.py").write_text("1\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    (work / "a.py").write_text("2\n")
    (work / "ä \n.py").write_text("3\n")
    saved = hub.json("checkpoints", "add", "state", cwd=work)
    assert saved["git_branch"] == "topic"
    assert len(saved["git_commit"]) == 40
    assert saved["files_changed"] == ["a.py", "ä \ufffd.py"]


def test_arguments_that_are_no_utf_8_are_refused(hub: Hub) -> None:
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"memctx", b"search", b"caf\xe9"],
        env=hub.environ, cwd=hub.folder, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")


def test_completion_offers_commands_and_options(hub: Hub) -> None:
    def offered(line: str, word: int) -> set[str]:
        environ = {"_MEMCTX_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(word)}
        done = run_memctx([], hub.environ | environ, hub.folder)
        return {each.partition(",")[2] for each in done.stdout.splitlines()}

    assert {"sessions", "search"} <= offered("memctx s", 1)
    assert "outcome" in offered("memctx patterns o", 2)
    assert "--json" in offered("memctx search --j", 2)
