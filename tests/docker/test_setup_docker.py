"""`setup.sh --docker` beside a stand-in for `docker` that writes down what it is asked."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.docker.compose import SECRETS
from tests.support.hub import free_port

ROOT = Path(__file__).parents[2]
NEEDED = ("setup.sh", "pyproject.toml", "infrastructure/docker/setup.sh")
TOOLS = (
    "base64", "bash", "cat", "chmod", "cksum", "cp", "dirname", "env", "grep", "head", "id",
    "kill", "mkdir", "mktemp", "od", "rm", "sed", "sleep", "tail", "tr",
)  # fmt: skip

BUILD = "compose build postgres redis chroma api worker"

DOCKER = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$ASKED"
case "$1 ${2:-}" in
  "info "*) echo 2 ;;
  "inspect "*) echo healthy ;;
  "compose ps") echo 0123456789ab ;;
  "compose config") printf '%s\\n' postgres redis chroma migrate api worker ;;
esac
"""


class Clone:
    """The few files of a clone that the script needs, and a PATH with a shell's tools only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.bin = folder / "bin"
        self.asked_file = folder / "asked"
        self.port = free_port()
        for name in NEEDED:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.folder / name)
        self.bin.mkdir()
        for name in TOOLS:
            found = shutil.which(name)
            assert found, name
            (self.bin / name).symlink_to(found)

    def has(self, name: str, text: str) -> None:
        """Puts a program on the PATH."""
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def setup(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": str(self.bin), "HOME": str(self.folder), "ASKED": str(self.asked_file)}
        return subprocess.run(
            [str(self.folder / "setup.sh"), "--docker", *arguments],
            cwd=self.folder, env={**environ, "MEMCTX_PORT": str(self.port)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"

    @property
    def env(self) -> dict[str, str]:
        lines = self.env_file.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")

    @property
    def asked(self) -> list[str]:
        return self.asked_file.read_text().splitlines()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    made = Clone(tmp_path)
    made.has("docker", DOCKER)
    return made


def test_it_builds_starts_and_says_what_to_type(clone: Clone) -> None:
    done = clone.setup()
    assert done.returncode == 0, done.stderr
    steps = [line for line in clone.asked if re.match(r"compose (build|up|exec)", line)]
    assert steps[:2] == [BUILD, "compose up -d postgres"]
    assert steps[2].startswith("compose exec -T postgres psql")
    assert steps[3:] == ["compose up -d"]
    assert f"http://127.0.0.1:{clone.port}" in done.stdout
    for command in ("memctx import", "memctx search", "memctx doctor"):
        assert command in done.stdout
    # No Python here: the commands are those of the container.
    assert "compose exec api memctx search" in done.stdout


def test_env_is_private_and_random(clone: Clone, tmp_path: Path) -> None:
    assert clone.setup("--no-start").returncode == 0
    assert clone.env_file.stat().st_mode & 0o777 == 0o600
    assert SECRETS.keys() <= clone.env.keys()
    assert re.fullmatch(r"mctx_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", clone.env["MEMCTX_API_KEY"])
    assert clone.env["HUB_CPUS"] == "2"
    other = Clone(tmp_path / "other")
    other.has("docker", DOCKER)
    assert other.setup("--no-start").returncode == 0
    assert "POSTGRES_REPLICA_PASSWORD" not in clone.env
    values = [clone.env[name] for name in SECRETS] + [other.env[name] for name in SECRETS]
    assert len(set(values)) == len(values)
    assert all(len(value) >= 32 for value in values)


def test_no_secret_is_printed(clone: Clone) -> None:
    done = clone.setup()
    said = done.stdout + done.stderr + "\n".join(clone.asked)
    assert [name for name in SECRETS if clone.env[name] in said] == []


def test_a_second_run_changes_nothing_in_env(clone: Clone) -> None:
    assert clone.setup("--no-start").returncode == 0
    before = clone.env_file.read_bytes()
    assert clone.setup("--no-start").returncode == 0
    assert clone.env_file.read_bytes() == before


def test_missing_names_are_appended_to_an_env_that_is_there(clone: Clone) -> None:
    mine = f"# mine\nMEMCTX_API_KEY={SECRETS['MEMCTX_API_KEY']}\nREDIS_PASSWORD=\nHUB_BIND=0.0.0.0"
    clone.env_file.write_text(mine)
    clone.env_file.chmod(0o644)
    assert clone.setup("--no-start").returncode == 0
    assert clone.env_file.read_text().startswith(f"{mine}\n")
    assert clone.env_file.stat().st_mode & 0o777 == 0o600
    assert clone.env["MEMCTX_API_KEY"] == SECRETS["MEMCTX_API_KEY"]
    assert clone.env["HUB_BIND"] == "0.0.0.0"
    assert len(clone.env["REDIS_PASSWORD"]) >= 32
    assert clone.env["POSTGRES_APP_PASSWORD"]


def test_a_replica_gets_a_password_of_its_own(clone: Clone) -> None:
    clone.env_file.write_text("COMPOSE_FILE=docker-compose.yml:docker-compose.replica.yml\n")
    assert clone.setup("--no-start").returncode == 0
    assert len(clone.env["POSTGRES_REPLICA_PASSWORD"]) >= 32


@pytest.mark.parametrize("value", ["changeme-changeme-x", "tooshort1", "a/b@c:d-0123456789"])
def test_a_weak_or_unusable_secret_is_refused(clone: Clone, value: str) -> None:
    clone.env_file.write_text(f"POSTGRES_APP_PASSWORD={value}\n")
    done = clone.setup()
    assert done.returncode == 2
    assert "POSTGRES_APP_PASSWORD" in done.stderr
    assert value not in done.stderr
    assert not [line for line in clone.asked if " up " in line]


def test_no_start_builds_only(clone: Clone) -> None:
    done = clone.setup("--no-start")
    assert done.returncode == 0, done.stderr
    assert not [line for line in clone.asked if " up " in line]
    assert BUILD in clone.asked


def test_without_docker_it_says_how_to_get_it(tmp_path: Path) -> None:
    done = Clone(tmp_path).setup()
    assert done.returncode == 1
    assert "docker was not found" in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("echo 'Cannot connect to the Docker daemon at unix:///x' >&2; exit 1", "does not answer"),
        ("echo 'permission denied while trying to connect' >&2; exit 1", "usermod -aG docker"),
        ('[ "$1" = info ] && echo 2 && exit 0; exit 1', "neither the plugin"),
    ],
)
def test_what_is_wrong_with_docker_is_named(clone: Clone, text: str, says: str) -> None:
    clone.has("docker", f"#!/usr/bin/env bash\n{text}\n")
    done = clone.setup()
    assert done.returncode == 1
    assert says in done.stderr
    assert not clone.env_file.exists()


def test_a_compose_that_is_too_old_is_named(clone: Clone) -> None:
    clone.has("docker", '#!/usr/bin/env bash\n[ "$1" = info ] && echo 2 && exit 0; exit 1\n')
    clone.has("docker-compose", "#!/usr/bin/env bash\necho 1.25.4\n")
    done = clone.setup()
    assert done.returncode == 1
    assert "older than 1.29" in done.stderr


def test_a_port_that_is_taken_is_named(clone: Clone) -> None:
    clone.has("docker", DOCKER.replace("echo healthy", "echo exited"))
    with socket.create_server(("127.0.0.1", clone.port)):
        done = clone.setup()
    assert done.returncode == 1
    assert f"port {clone.port}" in done.stderr
    assert not [line for line in clone.asked if " up " in line]


def test_a_build_that_fails_shows_its_end(clone: Clone) -> None:
    failing = (
        "#!/usr/bin/env bash\n[ \"$2\" != build ] || { echo 'disk: no space left'; exit 1; }\n"
    )
    clone.has("docker", failing + DOCKER.partition("\n")[2])
    done = clone.setup()
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert "the disk is full" in done.stderr


def test_the_images_always_carry_the_model(clone: Clone) -> None:
    done = clone.setup("--no-model")
    assert done.returncode == 2
    assert "--no-model" in done.stderr
    assert not clone.env_file.exists()
