"""Many replicas that sync with one hub at once, each a real file, spread over a few processes."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import API, ROOT, spread

sys.path.insert(0, str(ROOT))

from memory_core.clock import now
from memory_core.ids import uuid7
from memory_core.operations import CreatePattern, Operation
from memory_core.records import Document, Kind, PatternType
from sync_agent.channel import Channel
from sync_agent.replica import NewProject, Replica
from sync_agent.sync import HttpTransport, Options, State, sync_project
from sync_agent.url import parse_url

PROCESSES = 2
WRITES_PER_S = 2.0
STARTING_S = 6.0


@dataclass(frozen=True)
class Place:
    """Where a replica syncs: the hub, its project, and the folder for its file."""

    url: str
    key: str
    project: Document
    folder: Path

    @property
    def file(self) -> Path:
        """The replica's file."""
        return self.folder / "replica.db"

    def transport(self) -> HttpTransport:
        """Returns a line to the hub, kept open."""
        return HttpTransport(Channel(parse_url(self.url), self.key))

    def replica(self) -> Replica:
        """Returns a new and empty replica."""
        project = NewProject(
            id=str(self.project["id"]), slug=str(self.project["slug"]), hub=self.url
        )
        return Replica.create(self.file, project)


@dataclass(frozen=True)
class Share:
    """The replicas of one process, and when they sync (seconds since the epoch)."""

    places: Sequence[Place]
    start: float
    until: float
    every: float


@dataclass
class Seen:
    """What replicas saw: (sequence number reached, when), seconds of cycles, and problems."""

    reached: list[list[tuple[int, float]]] = field(default_factory=list)
    cycles: list[float] = field(default_factory=list)
    pushed: int = 0
    problems: Counter[str] = field(default_factory=Counter)


def one_replica(place: Place, share: Share, number: int, seen: Seen) -> None:
    """Syncs one replica every so many seconds; every tenth cycle it has written something."""
    chance = random.Random(number)
    reached: list[tuple[int, float]] = []
    seen.reached.append(reached)
    replica, transport = place.replica(), place.transport()
    project_id = str(place.project["id"])
    options = Options(name=f"replica-{number}", agent="benchmark")
    due = share.start + chance.uniform(0, share.every)
    while due < share.until:
        time.sleep(max(0.0, due - time.time()))
        if chance.random() < 0.1:
            replica.write(project_id, a_pattern(number), at=now())
        report = sync_project(replica, project_id, transport, options)
        seen.cycles.append(report.seconds)
        seen.pushed += report.pushed
        reached.append((replica.project(project_id).cursor, time.time()))
        if report.state is not State.SYNCED:
            seen.problems[report.problem.code if report.problem else report.state.value] += 1
        due += share.every * chance.uniform(0.8, 1.2)
    transport.close()
    replica.close()


def a_pattern(number: int) -> Operation:
    """Returns an operation that makes a small record."""
    identity = uuid7()
    body = CreatePattern(
        id=identity, name=f"learnt by {number}", pattern_type=PatternType.DECISION, created_at=now()
    )
    return Operation(op_id=uuid7(), kind=Kind.PATTERN, record_id=identity, body=body)


def run_share(share: Share) -> Seen:
    """Runs the replicas of one process, each in a thread."""
    seen = Seen()
    with ThreadPoolExecutor(len(share.places)) as pool:
        running = [
            pool.submit(one_replica, place, share, number, seen)
            for number, place in enumerate(share.places)
        ]
        for one in running:
            one.result()
    return seen


def write_for(place: Place, until: float, written: list[tuple[int, float]]) -> None:
    """Writes at the hub, steadily, and notes where in the log each write stands and when."""
    channel = Channel(parse_url(place.url), place.key)
    project = str(place.project["id"])
    while time.time() < until:
        body: Document = {"project": project, "name": "at the hub", "pattern_type": "decision"}
        answer = channel.call("POST", f"{API}/patterns", body=body).body
        assert isinstance(answer, dict)
        written.append((int(str(answer["seq"])), time.time()))
        time.sleep(1 / WRITES_PER_S)
    channel.close()


def many(places: Sequence[Place], *, seconds: float, every: float) -> dict[str, Any]:
    """Lets all replicas sync while somebody writes, and says how far they were behind."""
    start = time.time() + STARTING_S
    until = start + seconds
    written: list[tuple[int, float]] = []
    shares = [Share(places[part::PROCESSES], start, until, every) for part in range(PROCESSES)]
    writer = threading.Thread(target=write_for, args=(places[0], until - 2 * every, written))
    with ProcessPoolExecutor(PROCESSES) as pool:
        running = pool.map(run_share, shares)
        time.sleep(max(0.0, start - time.time()))
        writer.start()
        found = [*running]
    writer.join()
    lags = [lag for seen in found for reached in seen.reached for lag in lags_of(reached, written)]
    problems = sum((seen.problems for seen in found), Counter[str]())
    return {
        "replicas": len(places),
        "seconds": seconds,
        "every_s": every,
        "written_at_hub": len(written),
        "pushed": sum(seen.pushed for seen in found),
        "cycles": spread([taken for seen in found for taken in seen.cycles]),
        "lag": spread(lags),
        "errors": problems.total(),
        "first_errors": dict(problems.most_common(3)),
    }


def lags_of(
    reached: Sequence[tuple[int, float]], written: Sequence[tuple[int, float]]
) -> list[float]:
    """Returns for each write the seconds until a replica had read that far."""
    lags, place = [], 0
    for seq, at in written:
        while place < len(reached) and (reached[place][0] < seq or reached[place][1] < at):
            place += 1
        if place < len(reached):
            lags.append(reached[place][1] - at)
    return lags
