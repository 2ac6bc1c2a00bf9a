"""The report's section on replicas and their sync."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.pages import Result, command, table

SYNC = """\
A replica is a real SQLite file, the hub a process of its own on the same cores. Bytes are those of
the compressed bodies, both ways. *First sync* is that of an empty replica with a project of
{messages:,} messages, and includes the vectors and the replica's own index; *pull* reads a log from
its beginning, as a replica does that was away for long. Texts are embedded by hashing, which takes
the same bytes as the real model. *Search* is asked in one process that has the index in memory, as
the agent has, each question once; embedding a question with the real model comes on top.
"""
MANY = """\
{replicas} replicas sync with one hub on PostgreSQL every {every_s:g} s for {seconds:g} s, spread
over two processes on the same cores, while somebody writes twice a second at the hub and the
replicas write now and then. *Lag* is the time from a write's answer until a replica has pulled it:
with nothing but the schedule it would be spread evenly up to {every_s:g} s.
"""


def section(result: Result) -> Iterator[str]:
    """Yields the section's lines."""
    figures = result["figures"]
    first, pulled, level = figures["first_sync"], figures["pull"], figures["nothing_new"]
    search, many = figures["search"], figures["many"]
    yield "## Sync\n"
    yield SYNC.format(messages=search["messages"])
    yield table(
        ["one replica", "", "seconds", "requests", "MB or bytes"],
        [
            ["first sync", f"{first['vectors']:,} vectors", first["seconds"], first["requests"],
             f"{first['mb']} MB, in a file of {first['file_mb']} MB"],
            ["pull", f"{pulled['events']:,} events", pulled["seconds"], pulled["requests"],
             f"{pulled['bytes_per_event']} bytes an event"],
        ],
    )  # fmt: skip
    yield ""
    yield table(
        ["one replica", "p50 ms", "p95 ms", "requests"],
        [
            ["pull with nothing new", level["p50_ms"], level["p95_ms"], level["requests"]],
            ["search without the hub", search["p50_ms"], search["p95_ms"], 0],
        ],
    )
    yield "\n" + MANY.format(**many)
    yield table(
        ["many replicas", "p50 ms", "p95 ms", "worst ms"],
        (
            [name, found["p50_ms"], found["p95_ms"], found["max_ms"]]
            for name, found in (("a cycle", many["cycles"]), ("lag", many["lag"]))
        ),
    )
    yield f"\n{many['cycles']['n']:,} cycles, {many['errors']} errors. " + command(result)


def goals(figures: Result) -> Iterator[Sequence[object]]:
    """Yields figure, target, what was measured and whether it is reached."""
    targets = figures["targets"]
    pulled, level, first = figures["pull"], figures["nothing_new"], figures["first_sync"]
    value, goal = pulled["seconds"], targets["pull_10000_s"] * pulled["events"] / 10_000
    yield f"pull of {pulled['events']:,} events", f"≤ {goal:g} s", f"{value} s", value <= goal
    value, goal = level["p50_ms"], targets["nothing_new_ms"]
    shown = f"{value} ms, {level['requests']} request"
    is_one = level["requests"] == targets["nothing_new_requests"]
    yield "pull with nothing new, p50", f"≤ {goal:g} ms, 1", shown, value <= goal and is_one
    value, size = first["seconds"], first["mb"]
    goal, most = targets["first_sync_s"], targets["first_sync_mb"]
    title = f"first sync, {first['vectors']:,} vectors"
    reached = value <= goal and size <= most
    yield title, f"≤ {goal:g} s, ≤ {most:g} MB", f"{value} s, {size} MB", reached
    value, goal = figures["search"]["p50_ms"], targets["search_ms"]
    yield "search in a replica, p50", f"≤ {goal:g} ms", f"{value} ms", value <= goal
    many = figures["many"]
    title = f"{many['replicas']} replicas every {many['every_s']:g} s, errors"
    yield title, "none", many["errors"], many["errors"] == 0
