"""The hub raises its limit of open files as far as it may, or takes fewer connections."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("resource")

# In a process of its own, from the highest limit down: one that was lowered stays low.
SCRIPT = """
import json, resource
from context_api.main import allow_files
from context_api.settings import load
found = []
for soft, hard in ((4096, 4096), (256, 4096), (256, 512), (64, 64)):
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    chosen = allow_files(load(max_connections=1000, host="127.0.0.1"))
    found.append([chosen.max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0]])
print(json.dumps(found))
"""


def test_connections_and_files_fit() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == [[1000, 4096], [1000, 1200], [312, 512], [1, 64]]
