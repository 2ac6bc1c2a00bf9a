"""PgBouncer, a replica and TLS beside the hub, all at once."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker import compose
from tests.docker.stack import PROJECT, RUNNING, Stack
from tests.support.hub import free_port

ADDED = ("pgbouncer", "postgres-replica", "tls")
FILES = [f"docker-compose.{name}.yml" for name in ("pgbouncer", "replica", "tls")]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Secured(Stack):
    """A hub with everything beside it."""

    def __init__(self, folder: Path) -> None:
        self.certificates = folder / "certificates"
        self.certificates.mkdir()
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl is not installed")
        command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        command += " -addext subjectAltName=DNS:localhost"
        command += " -keyout privkey.pem -out fullchain.pem"
        subprocess.run(
            [openssl, *command.split()], cwd=self.certificates, capture_output=True, check=True
        )
        self.tls_port = free_port()
        settings = {
            "COMPOSE_FILE": ":".join(["docker-compose.yml", *FILES]),
            "TLS_FOLDER": str(self.certificates),
            "TLS_BIND": "127.0.0.1",
            "TLS_PORT": str(self.tls_port),
        }
        super().__init__(folder, settings)

    @property
    def authority(self) -> str:
        return str(self.certificates / "fullchain.pem")

    def sql(self, service: str, query: str) -> str:
        asked = ("psql", "-U", "postgres", "-d", "memctx", "-tAc", query)
        return self.inside(service, *asked).strip()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The hub after the script ran."""
    compose.engine()
    made = Secured(tmp_path_factory.mktemp("additions"))
    try:
        made.run("./setup.sh", "--docker")
        made.memctx("projects", "add", PROJECT)
        yield made
    finally:
        made.compose("down", "-v", "--remove-orphans", check=False)


def test_everything_is_healthy(stack: Secured) -> None:
    services = (*RUNNING, *ADDED)
    assert stack.health(services) == dict.fromkeys(services, "healthy")


def test_clients_come_by_tls_only_when_they_know_the_authority(stack: Secured) -> None:
    url = f"https://localhost:{stack.tls_port}"
    stack.memctx(
        "sessions", "add", "--project", PROJECT, "--title", "a heron at the lock",
        MEMCTX_URL=url, MEMCTX_CA_FILE=stack.authority,
    )  # fmt: skip
    with pytest.raises(OSError, match="certificate verify failed"):
        urllib.request.urlopen(f"{url}/health/live", timeout=10)


def test_old_tls_is_refused(stack: Secured) -> None:
    context = ssl.create_default_context(cafile=stack.authority)
    with urllib.request.urlopen(
        f"https://localhost:{stack.tls_port}/health/live", timeout=10, context=context
    ) as answer:
        assert answer.headers["Strict-Transport-Security"]
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError, match=r"(?i)alert|version|protocol"):
        urllib.request.urlopen(
            f"https://localhost:{stack.tls_port}/health/live", timeout=10, context=context
        )


def test_the_replica_follows(stack: Secured) -> None:
    wanted = stack.sql("postgres", "SELECT count(*) FROM events")
    assert int(wanted) > 0
    end = time.monotonic() + 30
    while stack.sql("postgres-replica", "SELECT count(*) FROM events") != wanted:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert stack.sql("postgres-replica", "SELECT pg_is_in_recovery()") == "t"


def test_the_hub_speaks_to_postgresql_through_the_pool_only(stack: Secured) -> None:
    """Every connection of its role comes from PgBouncer's address."""
    query = "SELECT DISTINCT host(client_addr) FROM pg_stat_activity WHERE usename = 'memctx_app'"
    networks = stack.inspect("pgbouncer")["NetworkSettings"]["Networks"]
    assert {stack.sql("postgres", query)} == {one["IPAddress"] for one in networks.values()}
