"""Measures a team's hub: an API process and a worker over PostgreSQL, Chroma and Redis.

Two projects of one tenant are filled over HTTP and indexed by the worker. Texts are embedded by
hashing, because the real model would take many minutes for so many; what embedding one question
with the real model takes is measured beside, to be added to a search that is not cached. Then
one client searches (each question once, then again) and writes sessions of 20 messages, and many
clients do both at once: once only searching and writing, once as agents do, who also read by key.
The servers are started here, on the same cores; what a row and a cached value cost is measured
beside.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from bench_search import questions_about
from corpus import Corpus, Message
from harness import API, ROOT, benchmark, model_dir, parser, spread

sys.path.insert(0, str(ROOT))

from team_load import (
    HEADERS,
    LOADS,
    PROJECTS,
    Stock,
    floors,
    many,
    session,
    some_sessions,
)

from memory_core.chunking import chunk_text
from memory_core.embedding.onnx import OnnxEmbedder
from tests.support.hub import Hub
from tests.support.stack import Stack, running_servers, running_stack

CLIENTS = 100
CHECKPOINTS = 200
TARGETS = {
    "search_p50_ms": 25,
    "search_p95_ms": 60,
    "cached_p50_ms": 2,
    "write_p50_ms": 15,
    "many_p95_ms": 500,
    "api_rss_mb": 350,
    "idle_cpu_share": 0.02,
}


def connected(hub: Hub) -> httpx.Client:
    """Returns a client of one kept connection."""
    return httpx.Client(base_url=f"{hub.url}{API}", headers=HEADERS, timeout=120)


def post(client: httpx.Client, path: str, body: object) -> tuple[float, dict[str, Any]]:
    """Returns the seconds that a request took, and its answer."""
    started = time.perf_counter()
    answer = client.post(path, json=body)
    taken = time.perf_counter() - started
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return taken, found


@dataclass
class Filled:
    """What was written into the hub before it is measured."""

    messages: list[Message] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)


def fill(client: httpx.Client, chunks: int) -> tuple[Filled, dict[str, Any]]:
    """Writes until the two projects have so many chunks, and waits for their indexes."""
    ids = [post(client, "/projects", {"slug": slug})[1]["id"] for slug in PROJECTS]
    filled = Filled()
    count, started = 0, time.perf_counter()
    for messages, project in zip(Corpus(1).sessions(), itertools.cycle(ids), strict=False):
        stored = post(client, "/sessions", session(project, messages))[1]
        filled.sessions.append(stored["id"])
        filled.messages += messages
        count += 1 + sum(len(chunk_text(message.text)) for message in messages)
        if count >= chunks:
            break
    seconds = time.perf_counter() - started
    for message, project in zip(filled.messages[:CHECKPOINTS], itertools.cycle(ids), strict=False):
        body = {"project": project, "description": message.text[:300]}
        filled.checkpoints.append(post(client, "/checkpoints", body)[1]["id"])
    for project in ids:
        while not _indexed(client, project):
            time.sleep(0.2)
    return filled, {
        "chunks": count,
        "messages": len(filled.messages),
        "stored_per_s": round(len(filled.messages) / seconds),
        "indexed_per_s": round(count / (time.perf_counter() - started)),
    }


def _indexed(client: httpx.Client, project: str) -> bool:
    found = client.get(f"/projects/{project}").json()
    return bool(found["indexed_seq"] >= found["head"])


def searches(client: httpx.Client, questions: Iterator[str], count: int) -> dict[str, Any]:
    """Asks ``count`` new questions of all projects, of one, and the same ones again."""
    found: dict[str, Any] = {}
    for name, projects in (("all_projects", []), ("one_project", [PROJECTS[0]])):
        asked = [{"query": next(questions), "projects": projects} for _ in range(count)]
        for body in asked[:20]:
            post(client, "/search", {**body, "limit": 9})
        fresh = [post(client, "/search", body) for body in asked]
        again = [post(client, "/search", body)[0] for body in asked]
        found[name] = {
            "fresh": spread([taken for taken, _ in fresh]),
            "cached": spread(again),
            "degraded": sum(bool(answer["degraded"]) for _, answer in fresh),
        }
    return found


def writes(client: httpx.Client, count: int) -> dict[str, Any]:
    """Writes sessions of 20 messages."""
    bodies = [session(PROJECTS[0], messages) for messages in some_sessions(21, count)]
    return spread([post(client, "/sessions", body)[0] for body in bodies])


def parts(stack: Stack) -> dict[str, list[psutil.Process]]:
    """Returns the processes of each part of a stack, with all their children."""
    servers = stack.servers
    owners = {
        "postgres": [servers.postgres],
        "redis": [servers.redis],
        "chroma": [servers.chroma],
        "api": stack.apis,
        "worker": stack.workers,
    }
    found: dict[str, list[psutil.Process]] = {}
    for name, running in owners.items():
        roots = [psutil.Process(one.process.pid) for one in running if one.process is not None]
        found[name] = [each for root in roots for each in (root, *root.children(recursive=True))]
    return found


def processor_s(stack: Stack) -> dict[str, float]:
    """Returns the processor seconds of each part so far, of children that have ended too."""
    found = {}
    for name, running in parts(stack).items():
        found[name] = 0.0
        for process in running:
            with contextlib.suppress(psutil.NoSuchProcess):
                found[name] += sum(process.cpu_times()[:4])
    return found


def shared(
    before: Mapping[str, float], after: Mapping[str, float], seconds: float
) -> dict[str, float]:
    """Returns which share of a core each part took, and all of them together."""
    shares = {name: (at - before[name]) / seconds for name, at in after.items()}
    shown = {name: round(share, 4) for name, share in shares.items()}
    return {**shown, "all": round(sum(shares.values()), 4)}


def idle_shares(stack: Stack, seconds: float = 30.0) -> dict[str, Any]:
    """Returns which share of a core each part takes while nobody asks anything, and all do."""
    before = processor_s(stack)
    time.sleep(seconds)
    shares = shared(before, processor_s(stack), seconds)
    return {"processes": len(stack.apis), "seconds": seconds, **shares}


def rss_mb(hub: Hub) -> int:
    """Returns the resident memory of a process."""
    assert hub.process is not None
    return round(psutil.Process(hub.process.pid).memory_info().rss / 1e6)


def embedding(questions: Iterator[str]) -> dict[str, Any]:
    """Measures what the real model takes for one question, in this process."""
    embedder = OnnxEmbedder.load(model_dir())
    taken = []
    for _ in range(120):
        question = next(questions)
        started = time.perf_counter()
        embedder.embed_query(question)
        taken.append(time.perf_counter() - started)
    return spread(taken[20:])


def settled(client: httpx.Client) -> None:
    """Waits until everything written is indexed."""
    for slug in PROJECTS:
        project = post(client, "/projects", {"slug": slug})[1]["id"]
        while not _indexed(client, project):
            time.sleep(0.5)


def crowded(
    stack: Stack, stock: Stock, arguments: argparse.Namespace
) -> dict[str, list[dict[str, Any]]]:
    """Measures many clients of every kind on one and more API processes."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in LOADS}
    for processes in arguments.processes:
        while len(stack.apis) < processes:
            stack.start("api")
        for name, load in LOADS.items():
            asking = many(stack.apis, load, stock, clients=CLIENTS, seconds=arguments.seconds)
            before, began = processor_s(stack), time.perf_counter()
            asked = asyncio.run(asking)
            shares = shared(before, processor_s(stack), time.perf_counter() - began)
            found[name].append({"processes": processes, **asked, "shares": shares})
            print(json.dumps({name: found[name][-1]}), flush=True)
            with connected(stack.api) as client:
                settled(client)
    return found


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Fills a stack and measures it."""
    with running_servers() as servers, running_stack(folder, servers, log_level="warning") as stack:
        with connected(stack.api) as client:
            filled, facts = fill(client, arguments.chunks)
            questions = questions_about(Corpus(9), filled.messages)
            found: dict[str, Any] = {
                "targets": TARGETS,
                "filled": facts,
                "floors": asyncio.run(floors(stack, filled.sessions)),
                "search": searches(client, questions, arguments.questions),
                "write": writes(client, 100),
                "api_rss_mb": rss_mb(stack.api),
                "embedding": embedding(questions),
            }
            settled(client)
        # As `docker-compose up` starts it: one API process, one worker.
        found["idle"] = [idle_shares(stack)]
        print(json.dumps(found), flush=True)
        asked = [next(questions) for _ in range(2_000)]
        stock = Stock(asked, some_sessions(22, 50), filled.sessions, filled.checkpoints)
        loads = crowded(stack, stock, arguments)
        found |= {"seconds": arguments.seconds, "many": loads}
        if len(stack.apis) > 1:
            found["idle"].append(idle_shares(stack))
        return found


def main() -> None:
    made = parser(__doc__, "team")
    made.add_argument("--chunks", type=int, default=100_000)
    made.add_argument("--questions", type=int, default=300)
    made.add_argument("--seconds", type=float, default=60.0)
    made.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    benchmark(made.parse_args(), "team", measure)


if __name__ == "__main__":
    main()
