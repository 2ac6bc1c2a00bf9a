"""Measures sync: pulls, a first sync, many replicas at once, and search without the hub.

A hub in its own process is filled with synthetic messages, embedded by hashing, because the real
model would take many minutes for so many. A replica then syncs for the first time, pulls a log,
and pulls with nothing new; a search in the replica is asked in this process, as in a running
agent. Then many replicas sync with a hub on PostgreSQL while somebody writes there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_search import questions_about
from corpus import Corpus, Message
from harness import API, ROOT, benchmark, parser, spread

sys.path.insert(0, str(ROOT))

from sync_load import Place, many
from team_load import session

from memory_core.chunking import chunk_text
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.records import Document
from sync_agent.channel import Channel
from sync_agent.local import LocalClient
from sync_agent.places import index_of
from sync_agent.replica import Replica
from sync_agent.sync import Options, State, sync_project
from sync_agent.sync.report import Report
from sync_agent.url import parse_url
from tests.faults.team.hubs import hubs_on, own_postgres
from tests.support.hub import Hub, running_hub

TARGETS = {
    "pull_10000_s": 5.0,
    "nothing_new_ms": 20.0,
    "nothing_new_requests": 1,
    "first_sync_s": 60.0,
    "first_sync_mb": 60.0,
    "search_ms": 25.0,
}
OPTIONS = Options(name="benchmark", agent="benchmark", snapshot_above=1_000_000)
"""Reads every event, as a replica does that has been away for long."""

QUESTIONS = 100


def call(hub: Hub, method: str, path: str, body: Document | None = None) -> Document:
    """Asks the hub with its own key."""
    channel = Channel(parse_url(hub.url), hub.key)
    answer = channel.call(method, f"{API}{path}", body=body, seconds=120).body
    channel.close()
    assert isinstance(answer, dict)
    return answer


def fill(hub: Hub, slug: str, *, chunks: int) -> tuple[Document, list[Message]]:
    """Makes a project with so many chunks and waits for its indexes."""
    project = call(hub, "POST", "/projects", {"slug": slug})
    said: list[Message] = []
    count = 0
    for messages in Corpus(1).sessions():
        call(hub, "POST", "/sessions", session(slug, messages))
        said += messages
        count += 1 + sum(len(chunk_text(message.text)) for message in messages)
        if count >= chunks:
            break
    while True:
        project = call(hub, "GET", f"/projects/{project['id']}")
        if int(str(project["indexed_seq"])) >= int(str(project["head"])):
            return project, said
        time.sleep(0.2)


def synced(place: Place, options: Options) -> tuple[Report, float]:
    """Lets a new replica sync for the first time; returns its report and the size of its file."""
    replica, transport = place.replica(), place.transport()
    report = sync_project(replica, str(place.project["id"]), transport, options)
    assert report.state is State.SYNCED, report.document()
    transport.close()
    replica.close()
    size = sum(file.stat().st_size for file in place.folder.iterdir())
    return report, size / 1e6


def first_sync(place: Place) -> dict[str, Any]:
    """Measures the sync of an empty replica."""
    options = replace(OPTIONS, snapshot_above=20_000, index=index_of(place.file))
    report, size = synced(place, options)
    travelled = report.wire.sent + report.wire.received
    return {
        "records": report.records,
        "events": report.pulled,
        "indexed": report.indexed,
        "vectors": report.vectors,
        "seconds": round(report.seconds, 2),
        "requests": report.wire.requests,
        "mb": round(travelled / 1e6, 1),
        "file_mb": round(size, 1),
    }


def pull(place: Place) -> dict[str, Any]:
    """Measures the pull of a log from its beginning, which has no vectors."""
    report, _ = synced(place, OPTIONS)
    return {
        "events": report.pulled,
        "seconds": round(report.seconds, 2),
        "events_per_s": round(report.pulled / report.seconds),
        "requests": report.wire.requests,
        "bytes_per_event": round(report.wire.received / max(1, report.pulled), 1),
    }


def nothing_new(place: Place, count: int) -> dict[str, Any]:
    """Measures cycles of a replica that is level with the hub."""
    replica, transport = Replica.open(place.file), place.transport()
    project_id = str(place.project["id"])
    reports = [sync_project(replica, project_id, transport, OPTIONS) for _ in range(count)]
    transport.close()
    replica.close()
    last = reports[-1].wire
    return {
        **spread([report.seconds for report in reports[5:]]),
        "requests": max(report.wire.requests for report in reports[5:]),
        "bytes": last.sent + last.received,
    }


def places(hub: Hub, project: Document, folder: Path, count: int) -> Iterator[Place]:
    """Yields folders for new replicas."""
    for number in range(count):
        made = folder / f"replica-{number}"
        made.mkdir(parents=True)
        yield Place(hub.url, hub.key, project, made)


def alone(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures one replica with a hub on SQLite."""
    with running_hub(folder / "hub", log_level="warning") as hub:
        project, said = fill(hub, "acme/api", chunks=arguments.chunks)
        [large] = places(hub, project, folder / "large", 1)
        found: dict[str, Any] = {"first_sync": first_sync(large)}
        log, _ = fill(hub, "acme/log", chunks=0)
        _grow(hub, log, arguments.events)
        [place] = places(hub, log, folder / "log", 1)
        found["pull"] = pull(place)
        found["nothing_new"] = nothing_new(place, arguments.pulls)
    found["search"] = offline(large, said, arguments.questions)
    return found


def _grow(hub: Hub, project: Document, events: int) -> None:
    """Appends messages until a log has so many events."""
    stock = Corpus(3).sessions()
    while int(str(project["head"])) < events:
        left = events - int(str(project["head"]))
        body = session(str(project["slug"]), next(stock)[: max(1, left - 1)])
        call(hub, "POST", "/sessions", body)
        project = call(hub, "GET", f"/projects/{project['id']}")


def offline(place: Place, said: Sequence[Message], count: int) -> dict[str, Any]:
    """Measures searches in a replica, in one process, with no hub; each question is new."""
    questions = questions_about(Corpus(9), said)
    taken: list[float] = []
    with LocalClient.open(place.file, embedder=HashingEmbedder) as client:
        started = time.perf_counter()
        client.search(next(questions))
        first = time.perf_counter() - started
        for _ in range(count):
            question = next(questions)
            started = time.perf_counter()
            answer = client.search(question)
            taken.append(time.perf_counter() - started)
            assert not answer["degraded"], answer["degraded"]
    return {"messages": len(said), "first_ms": round(1e3 * first, 1), **spread(taken)}


def together(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures many replicas with a hub on PostgreSQL."""
    with own_postgres() as server, hubs_on(folder, server, log_level="warning") as hubs:
        hub = hubs.start()
        project = call(hub, "POST", "/projects", {"slug": "acme/api"})
        made = [*places(hub, project, folder / "many", arguments.replicas)]
        return many(made, seconds=arguments.seconds, every=arguments.every)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures everything."""
    found = {"targets": TARGETS, **alone(folder / "alone", arguments)}
    print(json.dumps(found), flush=True)
    return {**found, "many": together(folder / "together", arguments)}


def main() -> None:
    made = parser(__doc__, "sync")
    made.add_argument("--chunks", type=int, default=30_000)
    made.add_argument("--events", type=int, default=10_000)
    made.add_argument("--pulls", type=int, default=100)
    made.add_argument("--questions", type=int, default=QUESTIONS)
    made.add_argument("--replicas", type=int, default=100)
    made.add_argument("--every", type=float, default=10.0)
    made.add_argument("--seconds", type=float, default=120.0)
    benchmark(made.parse_args(), "sync", measure)


if __name__ == "__main__":
    main()
