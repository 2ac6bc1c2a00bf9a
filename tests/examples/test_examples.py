"""The examples do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LIMIT_S = 280


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_submodules_agree_after_the_network_was_cut(tmp_path: Path) -> None:
    """Runs the script as a user does, with `memctx` of this installation on the path."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(EXAMPLES / "submodules.sh"), str(tmp_path)],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ended = done.stdout.partition("All four agree with the hub")[2]
    assert [line for line in ended.splitlines() if ": position " in line] == [
        "master: position 2",
        "api: position 3",
        "web: position 5",
        "docs: position 2",
    ]
    assert "Retries use full jitter" in ended
    assert list(tmp_path.iterdir()) == []
