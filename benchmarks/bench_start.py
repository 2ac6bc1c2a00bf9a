"""Measures starting: the hub until it is ready, its memory, and the commands of ``memctx``.

Memory is the resident set of the process as psutil reports it. ``imported`` is after importing
real transcripts, where there are some (``--transcripts``), indexing them whole and answering
twenty searches.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import (
    ROOT,
    Client,
    Hub,
    benchmark,
    load,
    memctx,
    model_dir,
    parser,
    running_hub,
    spread,
)

TRANSCRIPTS = ROOT.parent / "shared" / "data" / "transcripts"
QUERY = "why did we change the parser?"
UNWANTED = ("torch", "chromadb", "fastapi", "sqlalchemy", "onnxruntime", "numpy", "httpx")
TARGETS = {"ready_s": 2.0, "rss_mb": 450, "search_command_ms": 200.0}
MUST_NOT_LOAD = ("torch", "chromadb", "fastapi")


def run(command: Sequence[str], hub: Hub) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user of this hub and returns what it said; it must succeed."""
    done = subprocess.run(
        command,
        cwd=hub.folder,
        env=hub.environ,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def whole_process(command: Sequence[str], hub: Hub, times: int) -> dict[str, float]:
    """Returns how long a command takes from its start to its end."""
    run(command, hub)
    took = []
    for _ in range(times):
        started = time.perf_counter()
        run(command, hub)
        took.append(time.perf_counter() - started)
    return spread(took)


def starts(folder: Path, times: int) -> dict[str, Any]:
    """Starts and stops a hub several times; the first makes the database."""
    hub = Hub(folder)
    took, memory, cpu = [], [], []
    for _ in range(times + 1):
        took.append(hub.start())
        memory.append(hub.rss_mb())
        cpu.append(hub.cpu_s())
        hub.stop()
    return {
        "first_s": round(took[0], 2),
        "again": spread(took[1:]),
        "hub_cpu_s": round(min(cpu), 2),
        "rss_mb": round(max(memory)),
        "load": load(),
    }


def imported(hub: Hub, transcripts: Path) -> dict[str, Any]:
    """Imports transcripts, waits for the index and searches; returns times and memory."""
    if not transcripts.is_dir():
        return {"skipped": "no transcripts to import; name some with --transcripts"}
    started = time.perf_counter()
    run([*memctx(), "import", str(transcripts)], hub)
    import_s = time.perf_counter() - started
    client = Client(hub)
    projects = client.call("GET", "/projects")["items"]
    for project in projects:
        client.wait_indexed(project["id"])
    indexed_s = time.perf_counter() - started
    after_indexing = hub.rss_mb()
    for number in range(20):
        client.call("POST", "/search", {"query": f"{QUERY} {number}"})
    client.close()
    return {
        "events": sum(project["head"] for project in projects),
        "import_s": round(import_s, 1),
        "indexed_s": round(indexed_s, 1),
        "rss_indexed_mb": round(after_indexing),
        "rss_mb": round(hub.rss_mb()),
        "load": load(),
    }


def loaded_by(module: str) -> list[str]:
    """Returns which of the heavy libraries importing a module loads."""
    script = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return sorted(set(UNWANTED) & set(done.stdout.split()))


def commands(hub: Hub, times: int) -> Mapping[str, Any]:
    """Measures whole processes, with bare Python as the floor."""
    python = [sys.executable, "-c"]
    return {
        "python": whole_process([*python, "pass"], hub, times),
        "import memctx": whole_process([*python, "import memctx"], hub, times),
        "memctx --help": whole_process([*memctx(), "--help"], hub, times),
        "memctx search": whole_process([*memctx(), "search", QUERY], hub, times),
        "load": load(),
    }


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs all parts."""
    model_dir()
    started = starts(folder / "starts", arguments.starts)
    with running_hub(folder / "hub") as hub:
        found = {
            "targets": TARGETS,
            "start": started,
            "imported": imported(hub, arguments.transcripts),
            "commands": commands(hub, arguments.times),
            "loaded_by_import": {name: loaded_by(name) for name in ("memctx", "memctx.__main__")},
        }
    wrong = set(MUST_NOT_LOAD) & set(found["loaded_by_import"]["memctx"])
    if wrong:
        raise RuntimeError(f"import memctx loads {sorted(wrong)}")
    return found


def main() -> None:
    made = parser(__doc__, "start")
    made.add_argument("--transcripts", type=Path, default=TRANSCRIPTS, metavar="DIR")
    made.add_argument("--starts", type=int, default=5)
    made.add_argument("--times", type=int, default=20, help="each command runs")
    benchmark(made.parse_args(), "start", measure)


if __name__ == "__main__":
    main()
