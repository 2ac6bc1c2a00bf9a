"""The hub's package limits the threads of numpy's products before numpy is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROBE = """
import context_api.main, os, pathlib
print(os.environ["OPENBLAS_NUM_THREADS"])
import numpy
before = len(list(pathlib.Path("/proc/self/task").iterdir()))
a = numpy.ones((2000, 384), dtype=numpy.float32)
for _ in range(20):
    a @ a[0]
print(len(list(pathlib.Path("/proc/self/task").iterdir())) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("given", "limit"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_one_thread_unless_asked_otherwise(given: dict[str, str], limit: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    output = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**environment, **given},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()
    assert output[0] == limit
    if limit == "1":
        assert output[1] == "0"
