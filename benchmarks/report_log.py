"""The report's section on appends to the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.pages import Result, command, table

LOG = """\
{writers} writers in four processes append patterns to logs on PostgreSQL, each append a
transaction that is durable when it returns. *Bare* are the statements of such a transaction sent
as they are; *through the hub* is the hub's own write transaction, which seals the event and
projects the record too. Both run in turns, so the share between them says what the hub's code
costs. Processor time is that of the writing process; the server's own comes on top.
"""
PLACES = (("one_project", "one project"), ("a_project_each", "a project each"))


def section(result: Result) -> Iterator[str]:
    """Yields the section's lines."""
    figures = result["figures"]
    yield "## Appends to the log\n"
    yield LOG.format(writers=figures["writers"])
    yield table(
        ["", "bare /s", "through the hub /s", "share", "bare, CPU ms", "through the hub, CPU ms"],
        (
            [
                title,
                f"{found['bare_per_s']:,}",
                f"{found['append_per_s']:,}",
                f"{found['share']:.0%}",
                found["bare_cpu_ms"],
                found["append_cpu_ms"],
            ]
            for title, found in ((title, figures[name]) for name, title in PLACES)
        ),
    )
    yield "\n" + command(result)


def goals(figures: Result) -> Iterator[Sequence[object]]:
    """Yields figure, target, what was measured and whether it is reached."""
    for (name, title), key in zip(PLACES, ("bare_1", "bare_16"), strict=True):
        value, goal = figures[name]["bare_per_s"], figures["targets"][key]
        yield f"appends a second, bare, {title}", f"≥ {goal:,}", f"{value:,}", value >= goal
