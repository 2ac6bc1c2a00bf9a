"""Measures the agent at rest: its memory, its processor time, and how soon the hub has a write.

Memory is the resident set, processor time what the kernel counts for the process, both as psutil
reports them, with no embedding model loaded. The replicas hold an empty project each; the hub is
a process on the same machine. ``idle`` begins once every replica was synced.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from harness import ROOT, benchmark, parser, spread

sys.path.insert(0, str(ROOT))

from tests.support.hub import running_hub
from tests.sync_agent.agent.machine import Machine, running_agent, wait_for

TARGETS = {"rss_mb": 60, "idle_cpu_percent": 0.5}


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs an agent with some replicas, lets it rest, then writes."""
    with running_hub(folder / "hub") as hub:
        machine = Machine(folder / "machine")
        repositories = [machine.repository(f"r{n}", hub) for n in range(arguments.replicas)]
        with running_agent(machine) as pid:
            for repository in repositories:
                wait_for(lambda r=repository: r.project().epoch is not None, "the first sync")
            process = psutil.Process(pid)
            time.sleep(2)
            before, began = process.cpu_times(), time.monotonic()
            time.sleep(arguments.seconds)
            after, passed = process.cpu_times(), time.monotonic() - began
            used = after.user - before.user + after.system - before.system
            rest = {"seconds": round(passed, 1), "cpu_s": round(used, 3)}
            rest["cpu_percent"] = round(100 * used / passed, 3)
            memory = process.memory_info().rss / 1e6
            threads = process.num_threads()
            children = len(process.children())
            took = [_write(machine, repositories[0], n) for n in range(arguments.writes)]
    return {
        "targets": TARGETS,
        "replicas": arguments.replicas,
        "idle": rest,
        "rss_mb": round(memory, 1),
        "threads": threads,
        "children": children,
        "write_to_answer": spread(took),
    }


def _write(machine: Machine, repository: Any, number: int) -> float:
    began = time.perf_counter()
    repository.write(f"written {number}", machine.folder)
    wait_for(lambda: repository.pending() == 0, "the hub's answer")
    return time.perf_counter() - began


def main() -> None:
    made = parser(__doc__, "agent")
    made.add_argument("--replicas", type=int, default=4)
    made.add_argument("--seconds", type=float, default=30.0)
    made.add_argument("--writes", type=int, default=5)
    benchmark(made.parse_args(), "agent", measure)


if __name__ == "__main__":
    main()
