"""The agent's folder, and the lock that lets only one of a user run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sync_agent.agent.folder import MAX_SOCKET_PATH, AgentFolder, AgentRuns, held, holder, runs
from sync_agent.errors import LocalFailure

HOLDS = """
import sys
from pathlib import Path
from sync_agent.agent.folder import AgentFolder, held
with held(AgentFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> AgentFolder:
    made = AgentFolder(tmp_path / "agent")
    made.make()
    return made


@contextmanager
def another(folder: AgentFolder) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def test_a_second_agent_is_refused_and_told_which_runs(folder: AgentFolder) -> None:
    with another(folder) as process:
        with pytest.raises(AgentRuns, match=rf"process {process.pid}\b"), held(folder):
            pass
        assert holder(folder) == process.pid
        assert runs(folder)


def test_after_a_kill_the_next_agent_may_run(folder: AgentFolder) -> None:
    with another(folder) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert holder(folder) is None
        assert not runs(folder)
        with held(folder):
            assert holder(folder) == os.getpid()


def test_a_lock_that_was_let_go_leaves_nothing(folder: AgentFolder) -> None:
    with held(folder):
        assert [path.name for path in folder.root.iterdir()] == ["agent.lock"]
    assert list(folder.root.iterdir()) == []
    assert holder(folder) is None


def test_the_folders_are_private(folder: AgentFolder) -> None:
    assert folder.root.stat().st_mode & 0o777 == 0o700
    assert folder.socket_folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_look_into_is_refused(tmp_path: Path) -> None:
    open_folder = tmp_path / "agent"
    open_folder.mkdir(mode=0o755)
    open_folder.chmod(0o755)
    with pytest.raises(LocalFailure, match="chmod 700"):
        AgentFolder(open_folder).make()


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "agent").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalFailure, match="not a folder of yours"):
        AgentFolder(tmp_path / "agent").make()


def test_a_socket_path_that_is_too_long_moves_to_a_folder_of_its_own(tmp_path: Path) -> None:
    deep = AgentFolder(tmp_path / ("d" * 80) / "agent")
    other = AgentFolder(tmp_path / ("e" * 80) / "agent")
    assert len(os.fsencode(deep.socket)) <= MAX_SOCKET_PATH
    assert deep.socket.parent != deep.root
    assert deep.socket != other.socket
