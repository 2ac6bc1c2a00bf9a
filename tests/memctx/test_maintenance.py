"""Commands that also work where no hub runs, and the hub in the background."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from memctx import daemon
from tests.support.hub import Hub, free_port


def filled(hub: Hub) -> Hub:
    hub.json("projects", "add", "acme/shop")
    hub.json("sessions", "add", "--title", "Fix the parser", "--project", "acme/shop",
             "--message", "user: why?", "--message", "assistant: a newline")  # fmt: skip
    hub.json("patterns", "add", "Run ruff first", "--type", "workflow", "--project", "acme/shop")
    return hub


def test_an_export_comes_back_exactly(fresh_hub: Hub, tmp_path: Path) -> None:
    filled(fresh_hub)
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    assert fresh_hub.json("export", str(first))["bytes"] == first.stat().st_size
    assert first.stat().st_mode & 0o777 == 0o600
    assert fresh_hub.memctx("export", str(first)).returncode == 2
    other = Hub(tmp_path / "other", free_port())
    other.folder.mkdir()
    other.start()
    try:
        taken = other.json("import", str(first))
        assert taken["projects"] == 1
        assert taken["events"] > 3
        assert other.json("import", str(first)) == {
            **taken,
            "events": 0,
            "skipped": taken["events"],
        }
        other.json("export", str(second))
        piped = other.memctx("export", "-")
    finally:
        other.stop()

    def content(text: str) -> list[str]:
        return [line for line in text.splitlines() if "exported_at" not in line]

    assert content(second.read_text()) == content(first.read_text()) == content(piped.stdout)


def test_a_cut_export_is_recognised(fresh_hub: Hub, tmp_path: Path) -> None:
    filled(fresh_hub)
    path = tmp_path / "a.jsonl"
    fresh_hub.json("export", str(path))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    done = fresh_hub.memctx("import", str(path))
    assert done.returncode == 2
    assert "cut off" in done.stderr


def test_an_export_that_fails_leaves_no_file(fresh_hub: Hub, tmp_path: Path) -> None:
    fresh_hub.stop()
    target = tmp_path / "none" / "a.jsonl"
    assert fresh_hub.memctx("export", str(target)).returncode == 1
    far = {"MEMCTX_URL": "http://h.invalid", "MEMCTX_ALLOW_HTTP": "1"}
    nowhere = fresh_hub.memctx("export", str(tmp_path / "a.jsonl"), env=far)
    assert nowhere.returncode == 1
    assert list(tmp_path.glob("**/*.jsonl*")) == []
    assert list(tmp_path.glob(".*.part")) == []


def test_without_a_running_hub_the_data_is_worked_on(fresh_hub: Hub, tmp_path: Path) -> None:
    filled(fresh_hub)
    fresh_hub.stop()
    verified = fresh_hub.memctx("log", "verify")
    assert verified.returncode == 0, verified.stderr
    assert "no hub answers" in verified.stderr
    assert fresh_hub.json("rebuild")["equal"] is True
    path = tmp_path / "a.jsonl"
    fresh_hub.json("export", str(path))
    assert fresh_hub.json("import", str(path))["events"] == 0
    fresh_hub.start()
    assert fresh_hub.json("sessions", "list")[0]["title"] == "Fix the parser"


def test_a_command_never_works_beside_a_hub(fresh_hub: Hub) -> None:
    """The hub is there, but the client looks for it elsewhere."""
    filled(fresh_hub)
    elsewhere = {"MEMCTX_URL": f"http://127.0.0.1:{free_port()}"}
    done = fresh_hub.memctx("--json", "rebuild", env=elsewhere)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "busy"
    assert fresh_hub.json("log", "verify")["ok"] is True


def test_without_data_there_is_nothing_to_start(tmp_path: Path) -> None:
    nothing = Hub(tmp_path, free_port())
    done = nothing.memctx("--json", "log", "verify")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "hub_unreachable"
    assert not nothing.data_dir.exists()


def test_an_edited_row_is_found(fresh_hub: Hub) -> None:
    filled(fresh_hub)
    fresh_hub.stop()
    with closing(sqlite3.connect(fresh_hub.data_dir / "hub.db")) as database, database:
        changed = database.execute(
            "UPDATE events SET content = replace(content, 'newline', 'comma')"
            " WHERE content LIKE '%newline%'"
        ).rowcount
    assert changed == 1
    done = fresh_hub.memctx("--json", "log", "verify")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "check_failed"
    assert "does not match its digest" in error["detail"]
    assert error["report"]["ok"] is False
    human = fresh_hub.memctx("log", "verify")
    assert human.returncode == 1
    assert "not ok" in human.stdout


@pytest.mark.parametrize("missing", ["pydantic_settings", "sqlalchemy", "fastapi"])
@pytest.mark.parametrize("arguments", [["serve"], ["migrate"], ["rebuild"]])
def test_a_light_installation_says_that_the_hub_is_not_there(
    tmp_path: Path, missing: str, arguments: list[str]
) -> None:
    hub = Hub(tmp_path, free_port())
    hub.data_dir.mkdir()
    (hub.data_dir / "hub.db").touch()
    script = f"import sys; sys.modules[{missing!r}] = None; import memctx.__main__ as m; "
    done = subprocess.run(
        [sys.executable, "-c", script + f"sys.exit(m.main({arguments!r}))"],
        env=hub.environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if arguments == ["migrate"] and missing == "fastapi":
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1
        assert f"({missing} is missing)" in done.stderr
        assert "pip install 'memory-context[server]'" in done.stderr


def test_the_hub_runs_in_the_background_and_stops(tmp_path: Path) -> None:
    hub = Hub(tmp_path, free_port())
    try:
        started = hub.memctx("serve", "--detach", "--port", str(hub.port))
        assert started.returncode == 0, started.stderr
        assert hub.url in started.stderr
        found = daemon.find(hub.data_dir)
        assert found is not None
        assert hub.json("projects", "list") == []
        assert (hub.data_dir / "hub.log").stat().st_size > 0
        assert (hub.data_dir / daemon.PID_FILE).stat().st_mode & 0o777 == 0o600
        again = hub.json("serve", "--detach", "--port", str(hub.port))
        assert again["pid"] == found.pid
        assert hub.json("status")["url"] == hub.url
    finally:
        stopped = hub.memctx("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert daemon.find(hub.data_dir) is None
    assert not (hub.data_dir / daemon.PID_FILE).exists()
    assert hub.memctx("stop").returncode == 0


def test_a_hub_that_cannot_start_says_what_its_log_says(tmp_path: Path) -> None:
    hub = Hub(tmp_path, free_port())
    with socket.create_server(("127.0.0.1", hub.port)):
        done = hub.memctx("serve", "--detach")
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (hub.data_dir / daemon.PID_FILE).exists()


def test_only_the_hub_itself_is_ever_signalled(tmp_path: Path) -> None:
    """A process that has got the number of a hub that died is left alone."""
    hub = Hub(tmp_path, free_port())
    hub.data_dir.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as innocent:
        note = {"pid": innocent.pid, "mark": "0123456789abcdef", "url": hub.url}
        (hub.data_dir / daemon.PID_FILE).write_text(json.dumps(note))
        done = hub.memctx("stop")
        assert done.returncode == 0
        assert "no hub runs" in done.stderr
        time.sleep(0.1)
        assert innocent.poll() is None
        innocent.kill()


@pytest.mark.parametrize(
    "note", ["", "{}", "[]", '{"pid": "x"}', '{"pid": 1, "mark": "x", "y": 2}']
)
def test_a_broken_note_is_no_hub(tmp_path: Path, note: str) -> None:
    (tmp_path / daemon.PID_FILE).write_text(note)
    assert daemon.find(tmp_path) is None


def test_the_doctor_says_what_mends_it(fresh_hub: Hub) -> None:
    fine = fresh_hub.memctx("--json", "doctor")
    checks = {check["name"]: check for check in json.loads(fine.stdout)["data"]["checks"]}
    assert fine.returncode == 0
    assert checks["hub"]["state"] == checks["key"]["state"] == checks["index"]["state"] == "ok"
    assert sqlite3.sqlite_version in checks["SQLite"]["detail"]
    assert checks["model"] == {
        **checks["model"], "state": "warn", "mend": "memctx model install"
    }  # fmt: skip

    os.chmod(fresh_hub.data_dir, 0o755)  # noqa: PTH101
    (fresh_hub.folder / ".env").write_text("MEMCTX_API_KEY=x\n")
    bad_key = {"MEMCTX_API_KEY": "mctx_aaaaaaaaaaaa_" + "x" * 43}
    wrong = fresh_hub.memctx("--json", "doctor", env=bad_key)
    assert wrong.returncode == 1
    found = json.loads(wrong.stdout)["error"]["checks"]
    states = {(check["name"], check["state"]): check for check in found}
    assert states["key", "fail"]["mend"] == "memctx keys create"
    mends = {check["mend"] for check in found if check["name"] == "modes"}
    assert mends == {f"chmod 700 '{fresh_hub.data_dir}'", f"chmod 600 '{fresh_hub.folder}/.env'"}


def test_the_doctor_looks_at_the_data_of_a_hub_that_does_not_run(fresh_hub: Hub) -> None:
    filled(fresh_hub)
    fresh_hub.stop()
    done = fresh_hub.memctx("doctor")
    assert done.returncode == 1
    assert "mend: memctx serve" in done.stdout
    assert "database" in done.stdout
    database = fresh_hub.data_dir / "hub.db"
    with database.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(16_384))
    broken = fresh_hub.memctx("--json", "doctor")
    found = {c["name"]: c["state"] for c in json.loads(broken.stdout)["error"]["checks"]}
    assert found["database"] == "fail"
