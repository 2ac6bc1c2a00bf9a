"""Measures search in a replica: the whole command alone, with the agent, and inside a process.

The replica holds 500 sessions of 60 synthetic messages (`corpus`). Its vectors are random unless
``--embed`` is given: what a product takes does not depend on what it is of.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from corpus import Corpus
from harness import benchmark, memctx, model_dir, parser, spread

from memory_core.ids import uuid7
from memory_core.local_index import LocalIndex
from sync_agent.local import LocalClient
from sync_agent.local.indexing import bind, catch_up, embed_waiting
from sync_agent.local.models import installed_embedder
from sync_agent.places import index_of
from sync_agent.replica import Replica

SESSIONS = 500
QUERY = "why did we change the parser in src/token/build.py"
MODEL, DIMENSION = "all-MiniLM-L6-v2", 384
TARGETS = {"command_ms": 100.0, "in_process_ms": 25.0}


class Place:
    """A repository with a replica and a user of its own."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "api"
        self.home = folder / "home"
        self.repository.mkdir(parents=True)
        self.home.mkdir()
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MEMCTX_", "XDG_"))},
            "HOME": str(self.home),
            "MEMCTX_MODEL_DIR": str(model_dir().parent),
        }
        self.run("git", "init", "-q")
        self.run("git", "remote", "add", "origin", "https://example.com/acme/api")
        self.run(*memctx(), "init")

    def run(self, *command: str) -> str:
        """Runs a command in the repository; it must succeed."""
        done = subprocess.run(
            command, cwd=self.repository, env=self.environ, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    @property
    def replica(self) -> Path:
        """The replica's file."""
        return self.repository / ".memctx" / "replica.db"


def fill(path: Path, sessions: int, *, embed: bool) -> dict[str, Any]:
    """Writes the sessions, indexes and embeds them; returns what each step took."""
    with LocalClient.open(path) as client:
        own = client.own.id
        started = time.perf_counter()
        for number, said in enumerate(itertools.islice(Corpus(1).sessions(), sessions)):
            began = f"2026-11-{1 + number % 20:02d}T12:00"
            messages = [
                {
                    "id": uuid7(),
                    "role": ("user", "assistant")[turn % 2],
                    "text": message.text,
                    "created_at": f"{began}:{turn % 60:02d}Z",
                }
                for turn, message in enumerate(said)
            ]
            body = {"project": own, "title": f"session {number}", "started_at": f"{began}:00Z"}
            client.sessions.create({**body, "messages": [*messages]})
        written = time.perf_counter() - started
    replica, index = Replica.open(path), LocalIndex.open(index_of(path), keep_views=True)
    started = time.perf_counter()
    bind(replica, index)
    catch_up(replica, index, own)
    indexed = time.perf_counter() - started
    vectors(index, embed=embed)
    chunks = index.view(own).size
    index.close()
    replica.close()
    return {"chunks": chunks, "write_s": round(written, 2), "index_s": round(indexed, 2)}


def vectors(index: LocalIndex, *, embed: bool) -> None:
    """Gives every chunk a vector: the model's, or a random one."""
    embedder = installed_embedder() if embed else None
    if embedder is not None:
        embed_waiting(index, embedder)
        return
    rng = np.random.default_rng(0)
    index.use_model(MODEL, DIMENSION)
    while waiting := index.pending_texts(2_000):
        rows = rng.standard_normal((len(waiting), DIMENSION)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        pairs = [(hashed, row) for (hashed, _), row in zip(waiting, rows, strict=True)]
        index.put_vectors(MODEL, pairs)


def command(place: Place, times: int) -> dict[str, Any]:
    """Returns what the whole command takes: wall time, and processor time of its process."""
    arguments = [*memctx(), "--json", "search", QUERY]
    place.run(*arguments)
    took, spent = [], []
    for _ in range(times):
        before, started = psutil.Process().cpu_times(), time.perf_counter()
        place.run(*arguments)
        took.append(time.perf_counter() - started)
        after = psutil.Process().cpu_times()
        spent.append(
            after.children_user + after.children_system
            - before.children_user - before.children_system
        )  # fmt: skip
    return {"wall": spread(took), "cpu": spread(spent)}


def inside(path: Path, times: int) -> dict[str, float]:
    """Returns what a search takes in a process that has everything in memory."""
    with LocalClient.open(path) as client:
        client.search(QUERY)
        took = []
        for _ in range(times):
            started = time.perf_counter()
            client.search(QUERY)
            took.append(time.perf_counter() - started)
    return spread(took)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns all figures."""
    place = Place(folder)
    figures = fill(place.replica, arguments.sessions, embed=arguments.embed)
    figures["alone"] = command(place, arguments.times)
    place.run(*memctx(), "agent", "start")
    try:
        figures["with_agent"] = command(place, arguments.times)
    finally:
        place.run(*memctx(), "agent", "stop")
    figures["in_process"] = inside(place.replica, arguments.times)
    figures["index_mb"] = round(_size(place.replica.parent, "index.db*") / 1e6, 1)
    figures["replica_mb"] = round(_size(place.replica.parent, "replica.db*") / 1e6, 1)
    figures["targets"] = TARGETS
    return figures


def _size(folder: Path, pattern: str) -> int:
    return sum(file.stat().st_size for file in folder.glob(pattern))


def main() -> None:
    made = parser(__doc__, "offline")
    made.add_argument("--sessions", type=int, default=SESSIONS)
    made.add_argument("--times", type=int, default=10, help="each command runs")
    made.add_argument("--embed", action="store_true", help="embed with the model (minutes)")
    benchmark(made.parse_args(), "offline", measure)


if __name__ == "__main__":
    main()
