"""The images install exactly what the lists say, and the lists satisfy `pyproject.toml`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import lock

ROOT = Path(__file__).parents[2]
LISTS = lock.names()
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?: ; (.+?))?(?: \\)?$", re.MULTILINE)
IMAGE = {"python_version": "3.11", "python_full_version": "3.11.2", "sys_platform": "linux"}


def pins(name: str) -> dict[str, Version]:
    """Returns what a list installs in the image, by canonical name."""
    text = (lock.FOLDER / f"{name}.txt").read_text()
    return {
        canonicalize_name(found): Version(version)
        for found, version, marker in PIN.findall(text)
        if not marker or Marker(marker).evaluate({**IMAGE, "platform_system": "Linux"})
    }


@pytest.mark.parametrize("name", LISTS)
def test_every_dependency_is_listed_in_a_version_that_is_allowed(name: str) -> None:
    listed = pins(name)
    for text in lock.wanted(name):
        wanted = Requirement(text)
        version = listed.get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted.name} is missing; run python -m tools.lock"
        assert version in wanted.specifier, f"{text} is not {version}; run python -m tools.lock"


@pytest.mark.parametrize("name", LISTS)
def test_every_package_has_hashes(name: str) -> None:
    text = (lock.FOLDER / f"{name}.txt").read_text()
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) >= len(pins(name)) > 1
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "http" not in re.sub(r"^[a-z0-9-]*http[a-z0-9-]*==", "", text, flags=re.MULTILINE)


def test_every_extra_has_a_list_and_no_list_is_left_over() -> None:
    assert set(LISTS) >= {"build", "audit", "agent", "server", "otel", "dev"}
    assert {path.stem for path in lock.FOLDER.iterdir()} == set(LISTS)


def test_nothing_heavy_comes_along() -> None:
    heavy = {"torch", "transformers", "sentence-transformers", "chromadb", "pip"}
    assert not heavy & (pins("server").keys() | pins("agent").keys())
    assert not {"fastapi", "sqlalchemy", "asyncpg", "redis"} & pins("agent").keys()


@pytest.mark.parametrize(
    "path", ["setup.sh", "infrastructure/docker/setup.sh", "infrastructure/redis/start.sh"]
)
def test_scripts_pass_shellcheck(path: str) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        ["shellcheck", "-x", path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
