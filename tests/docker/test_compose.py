"""The compose file says what it must, and both forms of Compose take it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from context_api.settings import Settings
from tests.docker.compose import (
    COMPOSE,
    EXAMPLES,
    OURS,
    ROOT,
    SECRETS,
    STORES,
    VARIABLE,
    document,
    programs,
    services,
    variables,
)
from tools import containers, reference

SERVICES = services()
REPLICA = {"POSTGRES_REPLICA_PASSWORD": "replica-of-the-tests"}
SETTINGS = {one.names[0] for one in reference.settings(Settings)}

# Settings that make no sense in the containers, and why.
NOT_PASSED = {
    "MEMCTX_HOST": "the container's address is an argument of its command",
    "MEMCTX_PORT": "the port inside is fixed, the one outside is published",
    "MEMCTX_DATA_DIR": "the image's",
    "MEMCTX_MODEL_DIR": "the image's",
    "MEMCTX_SQLITE_SYNCHRONOUS": "there is no SQLite",
    "MEMCTX_CHROMA_TOKEN": "Chroma is on a network of its own and asks for none",
}


def name(path: Path) -> str:
    return path.name


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = service.get("environment", {})
    return found


def test_there_is_what_a_hub_needs() -> None:
    assert set(SERVICES) == {*STORES, *OURS}
    assert SERVICES["postgres"]["image"] == "${POSTGRES_IMAGE:-postgres:15-bookworm}"
    assert SERVICES["redis"]["image"] == "${REDIS_IMAGE:-redis:7-bookworm}"


def test_chroma_is_not_older_than_its_fixed_release() -> None:
    """CVE-2026-45829 is in 1.0.0 to 1.5.8."""
    found = re.search(r":(\d+)\.(\d+)\.(\d+)\}$", SERVICES["chroma"]["image"])
    assert found
    assert tuple(map(int, found.groups())) >= (1, 5, 9)


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_limited(service: str) -> None:
    one = SERVICES[service]
    assert one["mem_limit"]
    assert one["cpus"]
    assert one["pids_limit"]
    assert one["logging"]["options"]["max-size"]


def test_a_worker_gives_way() -> None:
    assert SERVICES["worker"]["cpu_shares"] < 1024
    assert not any("cpu_shares" in SERVICES[name] for name in SERVICES if name != "worker")


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_hardened(service: str) -> None:
    one = SERVICES[service]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not one.get("privileged")
    assert not [mount for mount in one.get("volumes", []) if "docker.sock" in mount]
    assert any(mount.startswith("/tmp") for mount in one["tmpfs"])


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_not_root_for_long(service: str) -> None:
    """PostgreSQL's entrypoint leaves root by itself; Chroma's root has no capability at all."""
    one = SERVICES[service]
    if service in OURS:
        assert one["user"] == "10001:10001"
    if service != "postgres":
        assert "cap_add" not in one
    if service not in {"postgres", "chroma"}:
        assert one["user"] != "root"


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_a_health_check(service: str) -> None:
    check = SERVICES[service]["healthcheck"]
    if service == "migrate":
        assert check == {"disable": True}
        assert SERVICES[service]["restart"] == "no"
    else:
        assert check["test"]
        assert check["interval"]
        assert check["timeout"]
        assert SERVICES[service]["restart"] == "unless-stopped"


def test_health_checks_ask_the_service_itself() -> None:
    checks = {name: str(one["healthcheck"].get("test")) for name, one in SERVICES.items()}
    assert "pg_isready" in checks["postgres"]
    assert "-U memctx_app -d memctx" in checks["postgres"]
    assert "REDISCLI_AUTH" in checks["redis"]
    assert "/api/v2/heartbeat" in checks["chroma"]
    assert "healthcheck.py" in checks["api"]
    assert "/health/ready" in (ROOT / "infrastructure/docker/healthcheck.py").read_text()


def test_only_the_api_is_published_and_to_this_machine_only() -> None:
    published = {name: one["ports"] for name, one in SERVICES.items() if one.get("ports")}
    assert published == {"api": ["${HUB_BIND:-127.0.0.1}:${MEMCTX_PORT:-8080}:8080"]}
    assert not [name for name, one in SERVICES.items() if "network_mode" in one]


def test_stores_and_workers_are_on_a_network_without_a_way_out() -> None:
    assert document()["networks"]["stores"] == {"internal": True}
    inner = {name for name, one in SERVICES.items() if one["networks"] == ["stores"]}
    assert inner == {*STORES, *OURS} - {"api"}


def test_data_is_in_named_volumes() -> None:
    assert set(document()["volumes"]) == {"postgres", "chroma"}
    assert "postgres:/var/lib/postgresql/data" in SERVICES["postgres"]["volumes"]
    assert "chroma:/data" in SERVICES["chroma"]["volumes"]
    assert 'persist_path: "/data"' in (ROOT / "infrastructure/chroma/config.yaml").read_text()


def test_each_secret_reaches_only_who_needs_it() -> None:
    holders: dict[str, set[str]] = {secret: set() for secret in SECRETS}
    for service, one in SERVICES.items():
        for used, _, _ in VARIABLE.findall(str(one)):
            if used in holders:
                holders[used].add(service)
    assert holders == {
        "POSTGRES_PASSWORD": {"postgres"},
        "POSTGRES_OWNER_PASSWORD": {"postgres", "migrate"},
        "POSTGRES_APP_PASSWORD": {"postgres", "api"},
        "POSTGRES_WORKER_PASSWORD": {"postgres", "worker"},
        "REDIS_PASSWORD": {"redis", "api", "worker"},
        "MEMCTX_CACHE_SECRET": {"api", "worker"},
        "MEMCTX_API_KEY": {"api"},
    }


def test_no_secret_has_a_default() -> None:
    uses = VARIABLE.findall(COMPOSE.read_text())
    assert {sign for name, sign, _ in uses if name in SECRETS} == {"?"}


def test_every_setting_can_be_given() -> None:
    passed = set(environment_of(SERVICES["api"])) | set(environment_of(SERVICES["worker"]))
    assert SETTINGS - passed == NOT_PASSED.keys() - {"MEMCTX_PORT"}
    assert {one for one in passed if one.startswith("MEMCTX_")} <= SETTINGS


@pytest.mark.parametrize("path", [COMPOSE, *EXAMPLES], ids=name)
def test_every_variable_is_in_the_example(path: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    known = SETTINGS | {one.name for one in containers.VARIABLES}
    assert variables(path) <= known
    assert [one for one in variables(path) if f"# {one}=" not in example] == []


def test_the_example_holds_the_defaults_of_the_compose_files() -> None:
    uses = [use for path in (COMPOSE, *EXAMPLES) for use in VARIABLE.findall(path.read_text())]
    found: dict[str, str] = {}
    for used, sign, default in uses:
        if sign == "-" and default:
            assert found.setdefault(used, default) == default
    written = {one.name: one.default for one in containers.VARIABLES if one.default}
    assert written == {used: default for used, default in found.items() if used in written}
    # The hub's own default is another: it writes text on a terminal.
    assert {used for used in found if used in SETTINGS} == {"MEMCTX_LOG_FORMAT", "MEMCTX_PORT"}


def test_what_is_mounted_is_there() -> None:
    mounts = [mount for one in SERVICES.values() for mount in one.get("volumes", [])]
    sources = [mount.partition(":")[0] for mount in mounts if mount.startswith("./")]
    assert sources
    assert [source for source in sources if not (ROOT / source).is_dir()] == []
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("./"))


@pytest.mark.parametrize("path", [COMPOSE, *EXAMPLES], ids=name)
def test_compose_takes_the_file(path: Path) -> None:
    """`config` reads, merges and checks it; no engine is needed."""
    found = programs()
    if not found:
        pytest.skip("neither docker compose nor docker-compose is installed")
    files = ["-f", str(COMPOSE), *(["-f", str(path)] if path != COMPOSE else [])]
    for program in found:
        done = subprocess.run(
            [*program, *files, "config"],
            cwd=ROOT,
            env={**os.environ, **SECRETS, **REPLICA},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (program, done.stderr)
        assert "app-of-the-tests" in done.stdout


def test_compose_says_what_to_do_without_secrets(tmp_path: Path) -> None:
    found = programs()
    if not found:
        pytest.skip("neither docker compose nor docker-compose is installed")
    bare = tmp_path / "docker-compose.yml"
    bare.write_text(COMPOSE.read_text())
    environ = {key: value for key, value in os.environ.items() if key not in SECRETS}
    for program in found:
        done = subprocess.run(
            [*program, "-f", str(bare), "config"],
            cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert "./setup.sh --docker" in done.stderr
