"""An import survives that the hub or itself is killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.memctx.test_import import counts, stored, talk
from tests.memory_core.transcripts.builders import SESSION, ClaudeLog
from tests.support.hub import Hub, running_hub

MOMENTS = 14
SESSIONS, TURNS = 5, 40


def transcripts(folder: Path) -> Path:
    for number in range(SESSIONS):
        log = ClaudeLog(SESSION.replace("0f0e0d0c", f"0f0e0d{number:02x}"))
        talk(log, TURNS).write(folder / f"{number}.jsonl")
    return folder


def started(hub: Hub, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "memctx", "import", str(folder)],
        env=hub.environ, cwd=hub.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def check_whole(hub: Hub, expected: dict[str, list[str]]) -> None:
    assert stored(hub) == expected
    with hub.client() as client:
        assert client.verify()["ok"] is True
        assert len(list(client.checkpoints.list())) == SESSIONS
        assert all(session["ended_at"] for session in client.sessions.list())


@dataclass(frozen=True)
class Whole:
    """What an import that nobody disturbs leaves at the hub, and how long it takes."""

    stored: dict[str, list[str]]
    seconds: float


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = transcripts(tmp_path_factory.mktemp("transcripts"))
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        begin = time.monotonic()
        assert counts(hub.json("import", str(folder)))[:2] == (SESSIONS, SESSIONS * TURNS * 4)
        return Whole(stored(hub), time.monotonic() - begin)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", ["hub", "importer"])
def test_killed_at_random_moments(victim: str, tmp_path: Path, whole: Whole) -> None:
    """Some moments for each victim, spread over the whole length of an import."""
    folder = transcripts(tmp_path / "transcripts")
    seed = int(os.environ.get("MEMCTX_TEST_SEED") or random.randrange(2**32))
    print(f"MEMCTX_TEST_SEED={seed}")
    chance = random.Random(seed)
    expected = whole.stored
    for moment in range(MOMENTS // 2):
        with running_hub(tmp_path / f"hub{moment}") as hub:
            process = started(hub, folder)
            time.sleep(chance.uniform(0.2, whole.seconds))
            acknowledged: dict[str, list[str]] = {}
            if victim == "importer":
                process.send_signal(signal.SIGKILL)
                process.communicate()
            else:
                acknowledged = stored(hub)
                hub.kill()
                restart = threading.Timer(chance.uniform(0, 1), hub.start)
                restart.start()
                try:
                    _, said = process.communicate(timeout=120)
                finally:
                    process.kill()
                    restart.join()
                assert process.returncode == 0, said
            now = stored(hub)
            assert all(now[name][: len(ids)] == ids for name, ids in acknowledged.items())
            assert all(expected[name][: len(ids)] == ids for name, ids in now.items())
            hub.json("import", str(folder))
            check_whole(hub, expected)
            assert counts(hub.json("import", "--force", str(folder)))[:3] == (0, 0, 0)
