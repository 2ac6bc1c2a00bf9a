"""Workers of a test run begin with what takes longest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scheduling import CONTAINERS, CORES

ROOT = Path(__file__).parents[2]
FILES = {
    "test_many.py": "def test_a(): ...\ndef test_b(): ...\ndef test_c(): ...",
    "test_slow.py": "import pytest\n@pytest.mark.slow\ndef test_a(): ...\ndef test_b(): ...",
    "test_slowest.py": (
        "import pytest\npytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]\n"
        "def test_a(): ..."
    ),
    "test_patient.py": "import pytest\n@pytest.mark.timeout(900)\ndef test_a(): ...",
    **dict.fromkeys(CONTAINERS, "def test_a(): ...\ndef test_b(): ..."),
}


def ran(folder: Path, workers: int) -> list[tuple[str, str]]:
    """Runs the files and returns the worker and the file of each test."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n  slow: takes seconds\n  timeout: how long\n"
    )
    command = [sys.executable, "-m", "pytest", "-v"]
    command += ["-p", "no:cacheprovider", "-p", "xdist", "-p", "tests.conftest"]
    command += ["-n", str(workers), "--dist", "loadfile", "--import-mode=importlib"]
    kept = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    kept |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^\[(gw\d)\] .* PASSED (\S+)::", done.stdout, re.MULTILINE)
    assert len(found) == 11
    return found


def test_the_longest_files_come_first_and_containers_stay_together(tmp_path: Path) -> None:
    tests = ran(tmp_path, 2)
    workers = {worker for worker, file in tests if file in CONTAINERS}
    assert len(workers) == 1
    first = [file for worker, file in tests if worker in workers][:4]
    assert sorted(first) == sorted([*CONTAINERS, *CONTAINERS])
    others = [file for worker, file in tests if worker not in workers]
    assert others[0] == "test_slowest.py"
    assert list(dict.fromkeys(others)) == [
        file for file in ("test_slowest.py", "test_slow.py", "test_many.py", "test_patient.py")
        if file in others
    ]  # fmt: skip


def test_a_worker_more_than_cores_is_for_containers_alone(tmp_path: Path) -> None:
    if CORES > 4:
        pytest.skip("so many workers would only show the same")
    tests = ran(tmp_path, CORES + 1)
    workers = {worker for worker, file in tests if file in CONTAINERS}
    assert len(workers) == 1
    assert {file for worker, file in tests if worker in workers} == set(CONTAINERS)


def test_containers_are_all_the_files_that_start_some() -> None:
    asking = [
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if "compose.engine()" in path.read_text()
    ]
    found = {str(path.relative_to(ROOT)) for path in asking}
    assert found - {"tests/support/test_scheduling.py"} == set(CONTAINERS)
