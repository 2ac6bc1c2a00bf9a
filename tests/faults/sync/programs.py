"""Programs that work on a replica and sync it, to be killed at any moment.

``python -m tests.faults.sync.programs write FILE COUNT`` stores patterns and says the id of each
operation once it is stored. ``… sync FILE URL KEY SECONDS`` syncs again and again, and says how
each cycle ended. Both end by themselves, 0 when nothing went wrong that was not told.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from memory_core.clock import now
from memory_core.errors import ContextError
from memory_core.ids import uuid7
from memory_core.operations import CreatePattern, Operation
from memory_core.records import Kind, PatternType
from sync_agent.channel import Channel, Retry
from sync_agent.replica import Replica
from sync_agent.sync import HttpTransport, Options, sync_project
from sync_agent.url import parse_url


def say(**told: object) -> None:
    """Says one thing, in one line that is there at once or not at all."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def a_pattern(name: str, text: str) -> Operation:
    """Returns an operation that makes a pattern."""
    identity = uuid7()
    body = CreatePattern(
        id=identity, name=name, body=text, pattern_type=PatternType.DECISION, created_at=now()
    )
    return Operation(op_id=uuid7(), kind=Kind.PATTERN, record_id=identity, body=body)


def write(file: Path, count: int, size: int = 20) -> None:
    """Stores patterns one after the other."""
    with Replica.open(file) as replica:
        [project] = replica.projects()
        for number in range(count):
            operation = a_pattern(f"pattern {number}", "word " * size)
            try:
                replica.write(project.id, operation, at=now())
            except ContextError as error:
                say(refused=error.code, detail=error.detail)
                return
            say(stored=operation.op_id, record=operation.record_id)


def sync(file: Path, url: str, key: str, seconds: float) -> None:
    """Syncs until the time is over."""
    transport = HttpTransport(Channel(parse_url(url), key, retry=Retry(budget=0.0)))
    end = time.monotonic() + seconds
    with Replica.open(file) as replica:
        [project] = replica.projects()
        options = Options(name=file.parent.name, agent="test")
        while True:
            report = sync_project(replica, project.id, transport, options)
            problem = report.problem
            say(
                state=report.state.value,
                problem=problem.code if problem else None,
                detail=problem.detail if problem else None,
                pulled=report.pulled,
                pending=report.pending,
            )
            if time.monotonic() > end:
                return
    transport.close()


def main() -> None:
    """Does what it is told."""
    what, file, *more = sys.argv[1:]
    if what == "write":
        write(Path(file), int(more[0]), int(more[1]) if more[1:] else 20)
    else:
        sync(Path(file), more[0], more[1], float(more[2]))


if __name__ == "__main__":
    try:
        main()
    except ContextError as error:
        say(refused=error.code, detail=error.detail)
        sys.exit(3)
