"""`memctx` in a folder with a replica: no hub, no network, and the hub where it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from memory_core.ids import derive_id
from tests.memory_core.transcripts.builders import ClaudeLog
from tests.support.hub import Hub, run_memctx

REMOTE = "https://github.com/acme/api.git"
AT = "2026-11-01T12:00:00.000000Z"
NO_SERVER = {
    "aiosqlite", "alembic", "asyncpg", "chromadb", "context_api", "context_migration", "fastapi",
    "orjson", "prometheus_client", "psycopg", "pydantic_settings", "redis", "sqlalchemy",
    "starlette", "structlog", "uvicorn",
}  # fmt: skip


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


@dataclass
class Place:
    """A repository and a user of its own, without a hub."""

    folder: Path
    home: Path
    extra: dict[str, str]

    @property
    def environ(self) -> dict[str, str]:
        names = ("PATH", "LANG", "TMPDIR", "PYTHONPATH")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        data = {"MEMCTX_DATA_DIR": str(self.home / "data"), "MEMCTX_PORT": "1"}
        return kept | data | {"HOME": str(self.home), "MEMCTX_EMBEDDING_PROVIDER": "hashing"}

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        environ = self.environ | self.extra | options.pop("env", {})
        return run_memctx(arguments, environ, options.pop("cwd", self.folder), **options)

    def json(self, *arguments: str, **options: Any) -> Any:
        done = self.run("--json", *arguments, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["data"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "api"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "remote", "add", "origin", REMOTE)
    return Place(folder, tmp_path / "home", {})


@pytest.fixture
def begun(place: Place) -> Place:
    place.json("init")
    return place


def talk(place: Place, name: str, folder: Path, turns: int = 3) -> Path:
    """Writes a transcript of an agent that worked in ``folder``."""
    log = ClaudeLog(derive_id(AT, name))
    for number in range(turns):
        log.user(f"question {number} about the {name}", cwd=str(folder))
        log.text(f"answer {number} about the {name}", f"msg_{number}")
    path = place.home / ".claude" / "projects" / name / f"{derive_id(AT, name)}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return log.write(path)


def test_init_makes_a_replica_that_git_ignores(place: Place) -> None:
    made = place.json("init")
    assert made["changed"] is True
    assert (made["slug"], made["known_by"]) == ("acme/api", "remote")
    assert Path(made["path"]) == place.folder / ".memctx" / "replica.db"
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=place.folder, capture_output=True, check=True
    )
    assert status.stdout == b""
    again = place.json("init")
    assert again == {**made, "changed": False}


def test_init_for_the_user_alone_leaves_the_repository_as_it_is(place: Place) -> None:
    made = place.json("init", "--user", "--slug", "mine/api")
    assert place.folder not in Path(made["path"]).parents
    assert made["slug"] == "mine/api"
    assert not (place.folder / ".memctx").exists()
    place.json("sessions", "add", "--title", "About the parser")
    assert [hit["title"] for hit in place.json("search", "parser")["hits"]] == ["About the parser"]


def test_a_bad_slug_makes_nothing(place: Place) -> None:
    assert place.run("init", "--slug", "No Slug").returncode == 2
    assert not (place.folder / ".memctx").exists()


def test_records_are_saved_found_changed_and_deleted(begun: Place) -> None:
    session = begun.json("sessions", "add", "--title", "Fix the parser", "--tag", "bug",
                         "--message", "user: why is the parser slow?")  # fmt: skip
    assert session["pending"] is True
    begun.json("sessions", "append", session["id"], "assistant: it counts twice")
    begun.json("sessions", "edit", session["id"], "--title", "The parser is fixed")
    shown = begun.json("sessions", "show", session["id"])
    assert [m["text"] for m in shown["messages"]] == ["why is the parser slow?", "it counts twice"]
    pattern = begun.json("patterns", "add", "Count once", "--type", "error", "--body", "A cache.")
    begun.json("patterns", "outcome", pattern["id"], "worked")
    begun.json("checkpoints", "add", "The parser is half done", "--session", session["id"])
    assert begun.json("patterns", "list")[0]["successes"] == 1
    assert len(begun.json("checkpoints", "list")) == 1
    assert begun.json("tags") == [{"tag": "bug", "sessions": 1, "patterns": 0}]
    assert begun.json("conflicts") == []
    assert begun.json("projects", "list")[0]["slug"] == "acme/api"
    assert "The parser is half done" in begun.json("context", "parser")["text"]
    begun.json("sessions", "delete", session["id"], "--yes", "--erase")
    gone = begun.run("--json", "sessions", "show", session["id"])
    assert json.loads(gone.stdout)["error"]["code"] == "deleted"
    status = begun.json("status")
    assert status["projects"][0]["pending"] == 7
    assert status["projects"][0]["hub"] is None


def test_status_and_doctor_speak_of_the_replica(begun: Place) -> None:
    said = begun.run("status").stdout
    assert "acme/api" in said
    assert "none: all of it is here alone" in said
    checks = json.loads(begun.run("--json", "doctor").stdout)
    listed = checks["data"] if "data" in checks else checks["error"]
    found = {check["name"]: check for check in listed["checks"]}
    assert found["replica"]["state"] == "ok"
    assert "hub" not in found
    assert "key" not in found


def test_an_import_takes_this_projects_sessions_once(begun: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    talk(begun, "parser", begun.folder)
    talk(begun, "queue", begun.folder / "src")
    talk(begun, "elsewhere", other)
    first = begun.json("import")
    assert (first["files"], first["elsewhere"]) == (2, 1)
    assert [p["project"] for p in first["projects"]] == ["acme/api"]
    assert sum(p["messages"] for p in first["projects"]) == 12
    pending = begun.json("status")["projects"][0]["pending"]
    again = begun.json("import")
    assert (again["unchanged"], again["added"]) == (2, 0)
    forced = begun.json("import", "--force")
    assert forced["added"] == 0
    assert sum(p["messages_known"] for p in forced["projects"]) == 12
    assert begun.json("status")["projects"][0]["pending"] == pending
    talk(begun, "queue", begun.folder / "src", turns=4)
    grown = begun.json("import")
    assert grown["unchanged"] == 1
    assert sum(p["messages"] for p in grown["projects"]) == 2
    hits = begun.json("search", "question about the queue")["hits"]
    assert "queue" in hits[0]["snippet"]


def test_worktrees_share_the_memory(begun: Place, tmp_path: Path) -> None:
    git(begun.folder, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q",
        "--allow-empty", "-m", "begin")  # fmt: skip
    git(begun.folder, "worktree", "add", "-q", str(tmp_path / "feature"))
    begun.json("sessions", "add", "--title", "About the parser", cwd=tmp_path / "feature")
    assert len(begun.json("search", "parser")["hits"]) == 1


def test_the_environment_and_the_flag_ask_the_hub(begun: Place, hub: Hub) -> None:
    begun.json("sessions", "add", "--title", "Only in the replica: zanzibar")
    assert len(begun.json("search", "zanzibar")["hits"]) == 1
    named = {"MEMCTX_URL": hub.url, "MEMCTX_API_KEY": hub.key}
    assert begun.json("search", "zanzibar", env=named)["hits"] == []
    flagged = begun.run("search", "zanzibar", "--hub")
    assert "hub" in flagged.stderr
    assert flagged.returncode == 1


def test_a_project_that_a_rule_keeps_from_the_hub_is_not_written_there_from_a_replica(
    begun: Place, hub: Hub
) -> None:
    """The folder's own project may use that hub, the one that is named may not."""
    for slug in ("secret/x", "open/x"):
        hub.json("projects", "add", slug)
    config = begun.home / ".config" / "memory-context" / "config.toml"
    config.parent.mkdir(parents=True)
    (begun.folder / ".memctx.toml").write_text(f'[client]\nurl = "{hub.url}"\n')
    config.write_text('[[deny]]\nprojects = ["secret/*"]\nhubs = ["127.0.0.1"]\n')
    key = {"MEMCTX_API_KEY": hub.key}

    def saved(project: str) -> subprocess.CompletedProcess[str]:
        arguments = ("sessions", "add", "--title", "kept here", "--project", project)
        return begun.run(*arguments, env=key)

    done = saved("secret/x")
    assert done.returncode == 1
    assert "denies the hub" in done.stderr
    assert saved("open/x").returncode == 0
    with hub.client() as client:
        assert not list(client.sessions.list(project="secret/x"))
    # The remote that the folder has now counts as well as those that the replica knows.
    git(begun.folder, "remote", "set-url", "origin", "https://github.com/acme/moved.git")
    config.write_text('[[deny]]\nprojects = ["github.com/acme/moved"]\nhubs = ["127.0.0.1"]\n')
    assert saved("open/x").returncode == 1


def test_what_the_replica_lacks_is_asked_of_the_hub(begun: Place, hub: Hub) -> None:
    with hub.client() as client:
        other = client.projects.ensure({"slug": "acme/other"})
        client.sessions.create({"project": other["id"], "title": "The zeppelin lands"})
    (begun.folder / ".memctx.toml").write_text(f'[client]\nurl = "{hub.url}"\n')
    key = {"MEMCTX_API_KEY": hub.key}
    found = begun.run("search", "zeppelin", "--project", "acme/other", env=key)
    assert "The zeppelin lands" in found.stdout
    assert "asked the hub" in found.stderr
    # What the replica holds is not asked of the hub, whose search would find the zeppelin.
    assert begun.json("search", "zeppelin", env=key)["hits"] == []
    hub.stop()
    away = begun.run("--json", "search", "zeppelin", "--project", "acme/other", env=key)
    assert json.loads(away.stdout)["error"]["code"] == "project_not_found"
    hub.start()


def test_the_agent_that_runs_answers_with_what_it_has_in_memory(begun: Place) -> None:
    begun.json("sessions", "add", "--title", "The parser is slow", "--message", "user: why?")
    own = begun.json("search", "parser")["hits"]
    pack = begun.json("context", "parser")["items"]
    assert begun.run("agent", "start").returncode == 0
    try:
        assert begun.json("search", "parser")["hits"] == own
        assert begun.json("context", "parser")["items"] == pack
        begun.json("sessions", "add", "--title", "Another parser, written meanwhile")
        titles = [hit["title"] for hit in begun.json("search", "parser")["hits"]]
        assert "Another parser, written meanwhile" in titles
        script = (
            "import sys; from memctx.__main__ import main; code = main(sys.argv[1:]);"
            "print(*sorted({n.partition('.')[0] for n in sys.modules}), file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, "search", "parser"],
            cwd=begun.folder, env=begun.environ, capture_output=True, text=True, check=True,
            timeout=60,
        )  # fmt: skip
        assert "The parser is slow" in done.stdout
        assert not {"numpy", "pydantic", "sqlite3"} & set(done.stderr.splitlines()[-1].split())
    finally:
        assert begun.run("agent", "stop").returncode == 0


def test_a_light_installation_is_enough(begun: Place) -> None:
    """Everything a server needs is hidden: init, import and search run without it."""
    talk(begun, "parser", begun.folder)
    script = (
        "import sys\n"
        f"hidden = {sorted(NO_SERVER)!r}\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in hidden:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "from memctx.__main__ import main\n"
        "raise SystemExit(main(sys.argv[1:]))\n"
    )

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=begun.folder, env=begun.environ, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "acme/api" in run("import")
    assert "question 1 about the parser" in run("search", "question about the parser")
    assert "parser" in run("context", "parser")
    run("status")
