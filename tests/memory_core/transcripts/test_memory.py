"""A transcript of any size is read in the memory of a few of its lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.memory_core.transcripts.builders import SESSION, ClaudeLog

SCRIPT = """
import resource, sys
from collections import Counter
from pathlib import Path
from memory_core.transcripts import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kinds = Counter(type(item).__name__ for item in read(Path(sys.argv[1])))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) // 1024, kinds["MessageItem"], kinds["Malformed"])
"""


def grown(path: Path) -> int:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    megabytes, said, bad = map(int, run.stdout.split())
    assert said > 0
    assert bad == (1 if path.name == "line.jsonl" else 0)
    return megabytes


@pytest.mark.slow
def test_sixty_megabytes_take_no_more_than_a_few(tmp_path: Path) -> None:
    path = tmp_path / f"{SESSION}.jsonl"
    log = ClaudeLog()
    with path.open("w") as stream:
        size = 0
        while size < 60_000_000:
            log.lines = log.lines[-1:]
            log.session = SESSION
            log.user(f"Question {size}: " + "why " * 50, uuid=f"q-{size}")
            log.text(f"Answer {size}: " + "because " * 200)
            call, _ = log.call("Bash", {"command": f"make test-{size}"})
            log.result(call, f"Exit code 1\nerror: {size}\n" + "output line\n" * 400, error=True)
            log.add("progress", data={"output": "x" * 2_000})
            chunk = "".join(
                line.replace('"uuid": "', f'"uuid": "{size}-') + "\n" for line in log.lines[1:]
            )
            stream.write(chunk)
            size += len(chunk)
    assert grown(path) <= 40


@pytest.mark.slow
def test_a_line_of_200_megabytes_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "line.jsonl"
    log = ClaudeLog()
    log.user("before")
    log.write(path)
    with path.open("ab") as stream:
        stream.write(b'{"type":"user","message":{"content":"')
        for _ in range(200):
            stream.write(b"x" * 1_000_000)
        stream.write(b'"}}\n')
        stream.write((log.lines[0].replace("before", "after") + "\n").encode())
    assert grown(path) <= 100
