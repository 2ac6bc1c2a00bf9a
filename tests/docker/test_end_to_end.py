"""A team's hub in containers, from `./setup.sh --docker` on, and what it must survive.

Needs a Docker engine and the images that docker-compose.yml names, or stand-ins with their names.
The first run builds the images, which takes minutes; later ones find the layers.
"""

from __future__ import annotations

import json
import re
import socket
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.docker import compose
from tests.docker.compose import OURS, SECRETS
from tests.docker.stack import PROJECT, QUESTION, RUNNING, Stack
from tests.memory_core.transcripts.builders import ClaudeLog
from tests.support.hub import free_port

ANSWER = "We moved the parser to a table of states because nested quotes broke the old one."
STOP_SECONDS = 10
MEGABYTE = 1_000_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


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
    before, path = stack.found(), stack.folder / ".env"
    other = uuid.uuid4().hex
    text = re.sub(r"(?m)^(POSTGRES_\w+|REDIS_PASSWORD)=.*$", rf"\1={other}", path.read_text())
    path.write_text(text)
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


@pytest.mark.parametrize("service", [one for one in RUNNING if one != "api"])
def test_stores_and_workers_have_no_way_out(stack: Stack, service: str) -> None:
    """The API is reached on their own network, and not by its address on the other one."""
    networks = stack.inspect("api")["NetworkSettings"]["Networks"]
    (outside,) = [one["IPAddress"] for name, one in networks.items() if name.endswith("_front")]
    script = "for host in api %s; do timeout 3 bash -c ': </dev/tcp/'$host/8080 && echo $host; done"
    assert stack.inside(service, "bash", "-c", script % outside).split() == ["api"]
    with socket.create_connection((outside, 8080), timeout=3):
        pass  # It answers there: from inside it is the network that is in the way.


def test_connections_of_the_api_to_the_outside_are_not_translated(stack: Stack) -> None:
    networks = stack.inspect("api")["NetworkSettings"]["Networks"]
    (front,) = [name for name in networks if name.endswith("_front")]
    options = json.loads(stack.run("docker", "network", "inspect", front))[0]["Options"]
    assert options["com.docker.network.bridge.enable_ip_masquerade"] == "false"


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
    roles = ("memctx_app", "memctx_owner", "memctx_worker")
    assert said.split() == [f"{role}|f|f|f|f" for role in roles]
    owned = (
        "SELECT count(*) FROM pg_class WHERE relowner <> ALL ('{memctx_owner,postgres}'::regrole[])"
    )
    said = stack.inside("postgres", "psql", "-U", "postgres", "-d", "memctx", "-tAc", owned)
    assert said.split() == ["0"]
    key = "SELECT has_table_privilege('memctx_worker', 'api_keys', 'SELECT')"
    said = stack.inside("postgres", "psql", "-U", "postgres", "-d", "memctx", "-tAc", key)
    assert said.split() == ["f"]
    used = "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename LIKE 'memctx%' ORDER BY 1"
    said = stack.inside("postgres", "psql", "-U", "postgres", "-d", "memctx", "-tAc", used)
    assert said.split() == ["memctx_app", "memctx_worker"]


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
        "docker", "run", "--rm", "--user", "0", "--entrypoint", "sh", tag, "-c",
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
        assert stack.inspect(service)["Config"]["Image"] == f"memory-context/{made[service]}:test"
