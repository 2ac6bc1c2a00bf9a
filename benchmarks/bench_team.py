"""Measures a team's hub: an API process and a worker over PostgreSQL, Chroma and Redis.

Two projects of one tenant are filled over HTTP and indexed by the worker. Texts are embedded by
hashing, because the real model would take many minutes for so many; what embedding one question
with the real model takes is measured beside, to be added to a search that is not cached. Then
one client searches (each question once, then again), writes sessions of 20 messages, and many
clients do both at once. The servers are started here, on the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
from bench_search import questions_about
from corpus import Corpus, Message
from harness import API, ROOT, benchmark, model_dir, parser, spread

sys.path.insert(0, str(ROOT))

from memory_core.chunking import chunk_text
from memory_core.embedding.onnx import OnnxEmbedder
from tests.support.hub import Hub
from tests.support.stack import KEY, Stack, running_servers, running_stack

PROJECTS = ("bench/api", "bench/web")
HEADERS = {"Authorization": f"Bearer {KEY}"}
TARGETS = {
    "search_p50_ms": 25,
    "search_p95_ms": 60,
    "cached_p50_ms": 2,
    "write_p50_ms": 15,
    "many_p95_ms": 500,
    "api_rss_mb": 350,
    "idle_cpu_share": 0.02,
}


def session(project: str, messages: Sequence[Message]) -> dict[str, Any]:
    """Returns the body that creates a session."""
    said = [
        {"role": "assistant" if place % 2 else "user", "text": message.text}
        for place, message in enumerate(messages)
    ]
    return {"project": project, "title": "Work", "messages": said}


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


def fill(client: httpx.Client, chunks: int) -> tuple[list[Message], dict[str, Any]]:
    """Writes until the two projects have so many chunks, and waits for their indexes."""
    ids = [post(client, "/projects", {"slug": slug})[1]["id"] for slug in PROJECTS]
    written: list[Message] = []
    count, started = 0, time.perf_counter()
    for messages, project in zip(Corpus(1).sessions(), itertools.cycle(ids), strict=False):
        post(client, "/sessions", session(project, messages))
        written += messages
        count += 1 + sum(len(chunk_text(message.text)) for message in messages)
        if count >= chunks:
            break
    stored = time.perf_counter() - started
    for project in ids:
        while not _indexed(client, project):
            time.sleep(0.2)
    return written, {
        "chunks": count,
        "messages": len(written),
        "stored_per_s": round(len(written) / stored),
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
    sessions = itertools.islice(Corpus(21).sessions(), count)
    bodies = [session(PROJECTS[0], messages[:20]) for messages in sessions]
    return spread([post(client, "/sessions", body)[0] for body in bodies])


async def many(
    hubs: Sequence[Hub], questions: Iterator[str], clients: int, seconds: float
) -> dict[str, Any]:
    """Lets many clients read (four of five) and write at once, spread over the hubs."""
    end = time.perf_counter() + seconds
    took: dict[str, list[float]] = {"search": [], "write": []}
    failures: list[str] = []
    stock = [next(questions) for _ in range(2_000)]
    sessions = [m[:20] for m in itertools.islice(Corpus(22).sessions(), 50)]

    async def client(number: int) -> None:
        rng = random.Random(number)
        base = f"{hubs[number % len(hubs)].url}{API}"
        async with httpx.AsyncClient(base_url=base, headers=HEADERS, timeout=30) as connection:
            while time.perf_counter() < end:
                reads = rng.random() < 0.8
                path = "/search" if reads else "/sessions"
                body = (
                    {"query": rng.choice(stock), "projects": [rng.choice(PROJECTS)]}
                    if reads
                    else session(rng.choice(PROJECTS), rng.choice(sessions))
                )
                started = time.perf_counter()
                try:
                    (await connection.post(path, json=body)).raise_for_status()
                except httpx.HTTPError as error:
                    failures.append(repr(error)[:200])
                    continue
                took["search" if reads else "write"].append(time.perf_counter() - started)

    await asyncio.gather(*(client(number) for number in range(clients)))
    total = sum(map(len, took.values()))
    return {
        "clients": clients,
        "requests_per_s": round(total / seconds, 1),
        "all": spread([*took["search"], *took["write"]]),
        **{name: spread(values) for name, values in took.items()},
        "failures": len(failures),
        "first_failures": failures[:3],
    }


def family(pids: Sequence[int]) -> list[psutil.Process]:
    """Returns processes with all their children."""
    found = []
    for pid in pids:
        process = psutil.Process(pid)
        found += [process, *process.children(recursive=True)]
    return found


def idle_share(stack: Stack, seconds: float = 10.0) -> float:
    """Returns which share of a core the whole stack takes while nobody asks anything."""
    servers = (stack.servers.postgres, stack.servers.redis, stack.servers.chroma)
    owners = [*servers, *stack.apis, *stack.workers]
    pids = [each.process.pid for each in owners if each.process is not None]
    before = {p.pid: sum(p.cpu_times()[:2]) for p in family(pids)}
    time.sleep(seconds)
    after = {p.pid: sum(p.cpu_times()[:2]) for p in family(pids)}
    return sum(value - before.get(pid, 0.0) for pid, value in after.items()) / seconds


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


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Fills a stack and measures it."""
    with running_servers() as servers, running_stack(folder, servers, log_level="warning") as stack:
        with connected(stack.api) as client:
            written, filled = fill(client, arguments.chunks)
            questions = questions_about(Corpus(9), written)
            found = {
                "targets": TARGETS,
                "filled": filled,
                "search": searches(client, questions, arguments.questions),
                "write": writes(client, 100),
                "api_rss_mb": rss_mb(stack.api),
                "embedding": embedding(questions),
            }
            print(json.dumps(found), flush=True)
        loads = []
        for processes in arguments.processes:
            while len(stack.apis) < processes:
                stack.start("api")
            load = asyncio.run(many(stack.apis, questions, 100, arguments.seconds))
            loads.append({"processes": processes, **load})
            print(json.dumps(loads[-1]), flush=True)
        with connected(stack.api) as client:
            for slug in PROJECTS:
                project = post(client, "/projects", {"slug": slug})[1]["id"]
                while not _indexed(client, project):
                    time.sleep(0.5)
        return {**found, "many": loads, "idle_cpu_share": round(idle_share(stack), 4)}


def main() -> None:
    made = parser(__doc__, "team")
    made.add_argument("--chunks", type=int, default=100_000)
    made.add_argument("--questions", type=int, default=300)
    made.add_argument("--seconds", type=float, default=60.0)
    made.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    benchmark(made.parse_args(), "team", measure)


if __name__ == "__main__":
    main()
