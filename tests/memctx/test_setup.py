"""`setup.sh` on a copy of the clone: what it makes, and how it fails."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memctx import daemon
from memory_core.errors import ContextError
from sync_agent.url import parse_url
from tests.support.hub import free_port
from tests.support.model import find_model_dir
from tests.support.servers.children import start_child

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".env",
    ".memctx-data",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "dist",
    "build",
)
TOOLS = (
    "bash",
    "cat",
    "cksum",
    "dirname",
    "grep",
    "head",
    "df",
    "awk",
    "kill",
    "rm",
    "sed",
    "sleep",
    "tail",
)

KEPT = ("PATH", "LANG", "PIP_CACHE_DIR", "PIP_INDEX_URL", "HTTPS_PROXY")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Clone:
    """A copy of the clone on a machine where nothing was installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clön of memory context"
        shutil.copytree(ROOT, self.folder, ignore=LEFT_OUT)
        self.home = folder / "home"
        self.home.mkdir()
        self.port = free_port()

    def environ(self, **more: str) -> dict[str, str]:
        kept = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "PIP_CACHE_DIR", "HTTPS_PROXY", "PIP_INDEX_URL")
            if name in os.environ
        }
        kept |= {"HOME": str(self.home), "MEMCTX_PORT": str(self.port)}
        if "PIP_CACHE_DIR" not in kept:
            kept["PIP_CACHE_DIR"] = str(Path.home() / ".cache" / "pip")
        return kept | more

    def setup(
        self, *arguments: str, cwd: Path | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.folder / "setup.sh"), *arguments],
            cwd=cwd or self.folder, env=self.environ(**environ), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=500,
        )  # fmt: skip

    def memctx(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = self.environ()
        del environ["MEMCTX_PORT"]
        return subprocess.run(
            [str(self.folder / ".venv/bin/memctx"), *arguments],
            cwd=self.folder, env=environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip


def model_arguments() -> list[str]:
    try:
        return ["--model", str(find_model_dir())]
    except ContextError:
        return ["--no-model"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone that was set up and whose hub runs in the background."""
    made = Clone(tmp_path_factory.mktemp("setup"))
    done = made.setup("--detach", *model_arguments(), cwd=made.home)
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        assert "memctx import" in done.stdout
        assert str(made.folder.name.split()[-1]) in done.stdout
        yield made
    finally:
        made.memctx("stop")


def test_the_hub_answers_with_the_key_of_the_env_file(clone: Clone) -> None:
    text = (clone.folder / ".env").read_text()
    assert (clone.folder / ".env").stat().st_mode & 0o777 == 0o600
    assert re.search(r"^MEMCTX_API_KEY=mctx_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$", text, re.MULTILINE)
    assert f"MEMCTX_URL=http://127.0.0.1:{clone.port}\n" in text
    assert clone.memctx("projects", "list").returncode == 0
    assert (clone.folder / ".memctx-data").stat().st_mode & 0o777 == 0o700
    listed = subprocess.run(
        [str(clone.folder / ".venv/bin/python"), "-m", "pip", "list", "--format", "freeze"],
        capture_output=True, text=True, check=True, env=clone.environ(),
    )  # fmt: skip
    assert "torch" not in listed.stdout
    assert "fastapi" in listed.stdout


def test_a_second_run_is_quick_and_changes_nothing(clone: Clone) -> None:
    before = (clone.folder / ".env").read_text()
    begin = time.monotonic()
    done = clone.setup("--detach", "--no-model")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 30
    assert "runs already" in done.stderr
    assert "installing" not in done.stderr
    assert (clone.folder / ".env").read_text() == before


def test_a_port_that_is_taken_is_named(clone: Clone, tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        data = str(tmp_path / "data")
        done = clone.setup("--detach", "--no-model", MEMCTX_PORT=str(port), MEMCTX_DATA_DIR=data)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr


def test_an_env_file_without_a_key_is_not_touched(clone: Clone) -> None:
    env = clone.folder / ".env"
    before = env.read_text()
    try:
        env.write_text("MEMCTX_PORT=9\n")
        done = clone.setup("--no-start", "--no-model")
        assert done.returncode == 1
        assert "holds no MEMCTX_API_KEY" in done.stderr
        assert env.read_text() == "MEMCTX_PORT=9\n"
    finally:
        env.write_text(before)


def test_without_an_option_the_hub_runs_in_the_foreground(clone: Clone, tmp_path: Path) -> None:
    port = free_port()
    environ = clone.environ(MEMCTX_PORT=str(port), MEMCTX_DATA_DIR=str(tmp_path / "data"))
    with (tmp_path / "log").open("wb") as log:
        process = start_child(
            [str(clone.folder / "setup.sh"), "--no-model"],
            cwd=clone.folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        end = time.monotonic() + 60
        url = parse_url(f"http://127.0.0.1:{port}")
        while not daemon.ready(url) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        assert daemon.ready(url), (tmp_path / "log").read_text()
    finally:
        process.terminate()
        assert process.wait(30) == 0
    said = (tmp_path / "log").read_text()
    assert "Next:" in said
    assert f"export MEMCTX_URL=http://127.0.0.1:{port}" in said


@pytest.fixture
def bare(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def tools(folder: Path, **scripts: str) -> str:
    """Returns a PATH with the shell's tools and these scripts only."""
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    (folder / "env").symlink_to(shutil.which("env") or "/usr/bin/env")
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_without_python_it_says_how_to_get_one(bare: Clone, tmp_path: Path) -> None:
    done = bare.setup(PATH=tools(tmp_path / "bin"))
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed and none was found" in done.stderr
    assert not (bare.folder / ".venv").exists()
    assert not (bare.folder / ".env").exists()


def test_a_python_that_is_too_old_is_named(bare: Clone, tmp_path: Path) -> None:
    old = tools(tmp_path / "bin", python3='[ "$1" = -V ] && echo "Python 3.9.2" && exit 0; exit 1')
    done = bare.setup(PATH=old)
    assert done.returncode == 1
    assert "Python 3.9.2" in done.stderr
    named = bare.setup(PYTHON=f"{old}/python3")
    assert named.returncode == 1
    assert f"PYTHON={old}/python3" in named.stderr


def test_a_python_without_venv_is_named(bare: Clone, tmp_path: Path) -> None:
    """As on Debian without the package python3-venv."""
    real = os.path.realpath("/proc/self/exe")
    script = f'case "$*" in *ensurepip*) exit 1 ;; esac; exec "{real}" "$@"'
    done = bare.setup(PYTHON=f"{tools(tmp_path / 'bin', python3=script)}/python3")
    assert done.returncode == 1
    assert "python3-venv" in done.stderr


def test_without_a_network_it_says_so(bare: Clone) -> None:
    done = bare.setup(
        "--no-start", PIP_INDEX_URL=f"http://127.0.0.1:{free_port()}/simple", PIP_RETRIES="0",
        PIP_CACHE_DIR=str(bare.home / "cache"), PIP_TIMEOUT="2",
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert not (bare.folder / ".env").exists()


@pytest.mark.parametrize(
    ("arguments", "environ", "says"),
    [
        (["--nope"], {}, "unknown option"),
        (["--model"], {}, "needs a PATH"),
        (["--model", "/no/such/file"], {}, "there is no"),
        ([], {"MEMCTX_PORT": "eighty"}, "not a port number"),
        ([], {"MEMCTX_PORT": "70000"}, "not between"),
        ([], {"MEMCTX_PORT": "0"}, "not between"),
        ([], {"MEMCTX_PORT": "9" * 30}, "not a port number"),
    ],
)
def test_wrong_use_exits_with_2(
    bare: Clone, arguments: list[str], environ: dict[str, str], says: str
) -> None:
    done = bare.setup(*arguments, **environ)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (bare.folder / ".venv").exists()


def test_help_does_nothing(bare: Clone) -> None:
    done = bare.setup("--help")
    assert done.returncode == 0
    assert "--detach" in done.stdout
    assert not (bare.folder / ".venv").exists()


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """On a file system of 24 MB, which takes the copy of the clone and no more."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(small)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        full = Clone(small)
        done = full.setup("--no-start", "--no-model", TMPDIR=str(tmp_path))
        assert done.returncode == 1
        assert "error: not enough disk space" in done.stderr
        assert not (full.folder / ".env").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)
