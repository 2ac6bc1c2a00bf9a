"""What a test run starts dies with it, also when the run is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.servers import postgres
from tests.support.servers.finding import PORTS, own_ports

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0

# A thread that is over by the time of the kill starts them, which is the hard case.
RUN = """
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from tests.support.hub import running_hub
from tests.support.servers.chroma import running_chroma
from tests.support.servers.postgres import running_postgres
from tests.support.servers.redis import running_redis

stack, ids = ExitStack(), []

def start():
    running = [running_postgres(), running_redis(), running_chroma()]
    running.append(running_hub(Path(sys.argv[1]) / "hub"))
    ids.extend(stack.enter_context(each).process.pid for each in running)

thread = threading.Thread(target=start)
thread.start()
thread.join()
print(*ids, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter, as PostgreSQL's must."""
    made = Path(tempfile.mkdtemp(prefix="killed-run-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_servers_die_with_a_test_run_that_is_killed(folder: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv of util-linux is not installed")
    if not Path("/usr/lib/postgresql").exists() or shutil.which("redis-server") is None:
        pytest.skip("PostgreSQL and Redis are not installed")
    kept = {name: value for name, value in os.environ.items() if "MEMCTX_TEST" not in name}
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)],
        env=kept | {"TMPDIR": str(folder)}, cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        servers = [psutil.Process(int(number)) for number in run.stdout.readline().split()]
        assert len(servers) == 4
        started = servers + [child for each in servers for child in each.children(recursive=True)]
        assert len(started) > len(servers), "PostgreSQL has processes of its own"
        run.kill()
    _, alive = psutil.wait_procs(started, timeout=PATIENCE_S)
    assert alive == []


def test_what_a_killed_run_left_in_memory_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "MEMORY", tmp_path)
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    left, used = (tmp_path / f"memctx-pg-{pid}-abc" for pid in (dead.pid, os.getpid()))
    for folder in (left, used):
        (folder / "data").mkdir(parents=True)
    assert postgres.memory() in {tmp_path, None}
    assert [path.name for path in tmp_path.iterdir()] == [used.name]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_workers_of_a_test_run_never_choose_the_same_port(count: int) -> None:
    parts = [
        own_ports({"PYTEST_XDIST_WORKER": f"gw{number}", "PYTEST_XDIST_WORKER_COUNT": str(count)})
        for number in range(count)
    ]
    assert sorted(port for part in parts for port in part) == list(PORTS)
    assert own_ports({}) == PORTS
