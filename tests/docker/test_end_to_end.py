"""A team's hub in containers, from `./setup.sh --docker` on, and what it must survive.

Needs a Docker engine and the images that docker-compose.yml names, or stand-ins with their names.
The first run builds the images, which takes minutes; later ones find the layers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker import compose
from tests.docker.compose import OURS, ROOT, SECRETS, STORES
from tests.memory_core.transcripts.builders import ClaudeLog
from tests.support.hub import free_port, run_memctx

RUNNING = (*STORES, "api", "worker")
PROJECT = "acme/lighthouse"
QUESTION = "why did we move the parser to a table of states?"
ANSWER = "We moved the parser to a table of states because nested quotes broke the old one."
KEPT = ("PATH", "HOME", "LANG", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY")
STOP_SECONDS = 10
MEGABYTE = 1_000_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


class Stack:
    """A copy of the clone whose containers run under a name of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / f"memctx-test-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self.home = folder / "home"
        self.home.mkdir()
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name)
        models = ROOT / ".memctx-data/models"
        if models.is_dir():
            shutil.copytree(models, self.folder / ".memctx-data/models")
        # The client of this test run; without one the script would install it.
        (self.folder / ".venv/bin").mkdir(parents=True)
        (self.folder / ".venv/bin/memctx").symlink_to(Path(sys.executable).with_name("memctx"))

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return kept | {"MEMCTX_PORT": str(self.port), "HUB_IMAGE_TAG": "test"}

    @property
    def env(self) -> dict[str, str]:
        """What the script wrote."""
        lines = (self.folder / ".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")

    def run(self, *command: str, check: bool = True) -> str:
        """Runs a program in the clone and returns what it said."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=1200,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout + done.stderr

    def compose(self, *arguments: str, check: bool = True) -> str:
        return self.run(*compose.programs()[0], *arguments, check=check)

    def container(self, service: str) -> str:
        return self.compose("ps", "-q", service).split()[-1]

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("docker", "inspect", self.container(service)))[
            0
        ]
        return found

    def inside(self, service: str, *command: str) -> str:
        return self.compose("exec", "-T", service, *command, check=False)

    def health(self) -> dict[str, str]:
        return {name: self.inspect(name)["State"]["Health"]["Status"] for name in RUNNING}

    def wait_healthy(self, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while (found := self.health()) != dict.fromkeys(RUNNING, "healthy"):
            assert time.monotonic() < end, (found, self.compose("logs", "--tail", "20"))
            time.sleep(0.5)

    def memctx(self, *arguments: str) -> Any:
        """Runs `memctx --json` against the hub and returns its data."""
        environ = self.environ | {
            "HOME": str(self.home),
            "MEMCTX_URL": f"http://127.0.0.1:{self.port}",
            "MEMCTX_API_KEY": self.env["MEMCTX_API_KEY"],
        }
        done = run_memctx(["--json", *arguments], environ, self.home)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["data"]

    def found(self) -> list[str]:
        """Returns the snippets of what the question finds."""
        answer = self.memctx("search", QUESTION, "--project", PROJECT)
        return [hit["snippet"] for hit in answer["hits"]]

    def heads(self) -> dict[str, int]:
        return {one["slug"]: one["head"] for one in self.memctx("projects", "list")}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The hub after the script ran once and a transcript was imported."""
    compose.engine()
    folder = tmp_path_factory.mktemp("stack")
    made = Stack(folder)
    try:
        said = made.run("./setup.sh", "--docker")
        assert f"http://127.0.0.1:{made.port}" in said
        log = ClaudeLog(str(uuid.uuid4()))
        log.user(QUESTION)
        log.text(ANSWER, "msg_1")
        log.user("and what about the release notes?")
        log.text("They are written from the commits.", "msg_2")
        made.memctx("import", str(log.write(folder / "t" / "a.jsonl")), "--project", PROJECT)
        yield made
    finally:
        made.compose("down", "-v", "--remove-orphans", check=False)


def test_the_script_ends_with_every_service_healthy(stack: Stack) -> None:
    assert stack.health() == dict.fromkeys(RUNNING, "healthy")
    assert stack.memctx("status")["mode"] == "server"


def test_a_second_run_changes_nothing(stack: Stack) -> None:
    before = {name: stack.container(name) for name in RUNNING}
    secrets = (stack.folder / ".env").read_bytes()
    stack.run("./setup.sh", "--docker")
    assert {name: stack.container(name) for name in RUNNING} == before
    assert (stack.folder / ".env").read_bytes() == secrets
    assert stack.health() == dict.fromkeys(RUNNING, "healthy")


def test_what_was_imported_is_found(stack: Stack) -> None:
    assert any(ANSWER in snippet for snippet in stack.found()), stack.found()


def test_a_restart_loses_nothing(stack: Stack) -> None:
    before, heads = stack.found(), stack.heads()
    stack.compose("restart")
    stack.wait_healthy()
    assert stack.heads() == heads
    assert stack.found() == before


def test_down_and_up_loses_nothing(stack: Stack) -> None:
    before, heads = stack.found(), stack.heads()
    stack.compose("down")
    stack.compose("up", "-d")
    stack.wait_healthy()
    assert stack.heads() == heads
    assert stack.found() == before


def test_passwords_changed_in_env_hold_after_the_script(stack: Stack) -> None:
    before = stack.found()
    path = stack.folder / ".env"
    path.write_text(
        re.sub(r"(?m)^(POSTGRES_\w+|REDIS_PASSWORD)=.*$", r"\1=" + "n" * 20, path.read_text())
    )
    stack.run("./setup.sh", "--docker")
    assert stack.found() == before


def test_a_hub_without_redis_and_chroma_still_remembers(stack: Stack) -> None:
    stack.compose("stop", "redis", "chroma")
    try:
        stack.memctx("sessions", "add", "--project", PROJECT, "--title", "the kestrel flies")
        assert stack.heads()[PROJECT] > 0
        found = stack.memctx("search", "kestrel", "--project", PROJECT)
        assert any("kestrel" in json.dumps(hit) for hit in found["hits"])
    finally:
        stack.compose("start", "redis", "chroma")
        stack.wait_healthy()


@pytest.mark.parametrize("service", RUNNING)
def test_container_is_limited_and_cannot_write(stack: Stack, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["Memory"] > 0
    assert host["NanoCpus"] > 0
    assert host["PidsLimit"] > 0
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert not host["Privileged"]
    assert "Read-only file system" in stack.inside(service, "touch", "/etc/x")


@pytest.mark.parametrize("service", ["api", "worker"])
def test_our_containers_have_no_rights(stack: Stack, service: str) -> None:
    assert stack.inside(service, "id", "-u").strip() == "10001"
    status = stack.inside(service, "cat", "/proc/1/status")
    assert re.search(r"^CapEff:\s*0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s*1$", status, re.MULTILINE)


def test_only_the_api_is_published(stack: Stack) -> None:
    ports = {name: stack.inspect(name)["HostConfig"]["PortBindings"] or {} for name in RUNNING}
    assert {name for name, bound in ports.items() if bound} == {"api"}
    assert [one["HostIp"] for one in ports["api"]["8080/tcp"]] == ["127.0.0.1"]


@pytest.mark.parametrize("service", ["api", "worker", "postgres"])
def test_nothing_goes_out(stack: Stack, service: str) -> None:
    script = (
        "for port in 53 443; do timeout 3 bash -c ': </dev/tcp/1.1.1.1/'$port && echo OUT; done"
    )
    assert "OUT" not in stack.inside(service, "bash", "-c", script)


def test_each_secret_is_only_where_it_is_needed(stack: Stack) -> None:
    holders = {
        name: {one for one in RUNNING if stack.env[name] in json.dumps(stack.inspect(one))}
        for name in ("MEMCTX_API_KEY", "MEMCTX_CACHE_SECRET")
    }
    assert holders == {"MEMCTX_API_KEY": {"api"}, "MEMCTX_CACHE_SECRET": {"api", "worker"}}


def test_redis_lets_its_user_do_what_the_hub_does_and_no_more(stack: Stack) -> None:
    def ask(*command: str) -> str:
        script = (
            'REDISCLI_AUTH="$REDIS_PASSWORD" exec redis-cli --user memctx --no-auth-warning "$@"'
        )
        return stack.inside("redis", "sh", "-c", script, "sh", *command)

    assert "OK" in ask("set", "memctx:test", "1")
    for refused in (["get", "other"], ["flushall"], ["keys", "*"], ["config", "get", "dir"]):
        assert "NOPERM" in ask(*refused)
    assert "NOPERM" in ask("eval", "return 1", "0")
    assert "NOAUTH" in stack.inside("redis", "redis-cli", "ping")


def test_the_hubs_role_owns_nothing_and_passes_by_nothing(stack: Stack) -> None:
    query = (
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
        " WHERE rolname LIKE 'memctx%' ORDER BY 1"
    )
    said = stack.inside("postgres", "psql", "-U", "postgres", "-d", "memctx", "-tAc", query)
    assert said.split() == ["memctx_app|f|f|f|f", "memctx_owner|f|f|f|f"]
    owned = "SELECT count(*) FROM pg_class WHERE relowner = 'memctx_app'::regrole"
    said = stack.inside("postgres", "psql", "-U", "postgres", "-d", "memctx", "-tAc", owned)
    assert said.split() == ["0"]


@pytest.mark.parametrize("service", ["api", "worker"])
def test_a_container_stops_in_time(stack: Stack, service: str) -> None:
    name = stack.container(service)
    begin = time.monotonic()
    stack.run("docker", "stop", "--time", "60", name)
    assert time.monotonic() - begin < STOP_SECONDS
    assert stack.inspect(service)["State"]["ExitCode"] == 0
    stack.run("docker", "start", name)
    stack.wait_healthy()


@pytest.mark.parametrize("image", ["api", "worker"])
def test_image_is_small_and_holds_no_secret(stack: Stack, image: str) -> None:
    tag = f"memory-context/{image}:test"
    told = stack.run("docker", "image", "inspect", tag) + stack.run(
        "docker", "history", "--no-trunc", tag
    )
    assert [name for name in SECRETS if stack.env[name] in told] == []
    assert [name for name in SECRETS if name in told] == []
    size = json.loads(stack.run("docker", "image", "inspect", tag))[0]["Size"]
    base = json.loads(stack.run("docker", "image", "inspect", "python:3.11-slim-bookworm"))[0]
    assert (size - base["Size"]) / MEGABYTE <= 450
    files = stack.run(
        "docker", "run", "--rm", "--entrypoint", "sh", tag, "-c",
        "ls /opt/memctx/lib/python3.11/site-packages; find / -xdev -name .env -not -path '/proc/*'",
    )  # fmt: skip
    assert "onnxruntime" in files
    assert not {"torch", "pip", "chromadb", "transformers"} & set(files.split())
    assert not [line for line in files.splitlines() if line.endswith("/.env")]


def test_the_image_alone_is_a_hub_on_the_port_of_the_platform(stack: Stack) -> None:
    """Without any server: one container, its data in one volume, its port in PORT."""
    port, name = free_port(), f"{stack.folder.name}-alone"
    stack.run(
        "docker", "run", "--detach", "--name", name, "--read-only", "--cap-drop", "ALL",
        "--tmpfs", "/tmp", "--tmpfs", "/data:mode=0700,uid=10001,gid=10001",
        "--publish", f"127.0.0.1:{port}:9123", "--env", "PORT=9123",
        "--env", f"MEMCTX_API_KEY={SECRETS['MEMCTX_API_KEY']}", "memory-context/api:test",
    )  # fmt: skip
    try:
        check = [
            "docker",
            "exec",
            name,
            "/opt/memctx/bin/python3",
            "-I",
            "-S",
            "/opt/healthcheck.py",
        ]
        end = time.monotonic() + 60
        while '"status":"ok"' not in (said := stack.run(*check, check=False)):
            assert time.monotonic() < end, said + stack.run("docker", "logs", name)
            time.sleep(0.2)
    finally:
        stack.run("docker", "rm", "--force", name)


def test_the_image_refuses_to_serve_others_without_a_key(stack: Stack) -> None:
    said = stack.run("docker", "run", "--rm", "memory-context/api:test", check=False)
    assert "needs MEMCTX_API_KEY" in said


def test_every_service_of_ours_is_the_image_that_was_built(stack: Stack) -> None:
    made = {"migrate": "api", "api": "api", "worker": "worker"}
    for service in OURS:
        ids = stack.compose("ps", "-aq", service, check=False).split() or [stack.container(service)]
        image = json.loads(stack.run("docker", "inspect", ids[-1]))[0]["Config"]["Image"]
        assert image == f"memory-context/{made[service]}:test"
