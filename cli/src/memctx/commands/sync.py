"""``memctx sync``: bring this folder's replica and its hub level, and look after it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.commands.agent import agent_folder
from memctx.run import Run
from memory_core.errors import NotFound

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent.agent.registry import Registered
    from sync_agent.agent.rounds import Outcome

BUSY_SECONDS = 60.0
RETRY_SECONDS = 5.0


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def sync(context: click.Context) -> None:
    """Push what was written here and pull what is new, now.

    The agent (`memctx agent install`) does this by itself.
    """
    run = context.find_object(Run)
    if run is None or context.invoked_subcommand is not None:
        return
    run.out.command = "sync"
    _now(run)


@sync.command("now")
@click.pass_obj
def now(run: Run) -> None:
    """Push and pull now."""
    _now(run)


@sync.command("status")
@click.pass_obj
def status(run: Run) -> None:
    """Show how this folder's replica stands."""
    from sync_agent.agent.standing import standing  # noqa: PLC0415

    found = standing(entry_here())
    for text in cast("list[str]", found["alerts"]):
        run.out.warn(text)
    projects = cast("list[dict[str, JsonValue]]", found["projects"])
    names = (
        "slug", "role", "last_sync_at", "behind", "pending", "conflicts", "rejected", "last_error",
    )  # fmt: skip
    rows = [[_cell(project.get(name)) for name in names] for project in projects]

    def show() -> None:
        run.out.fields({name: _cell(found[name]) for name in ("replica", "state", "hub", "error")})
        columns = tuple(name.removesuffix("_at").replace("_", " ") for name in names)
        run.out.table(columns, rows)

    run.out.finish(found, human=show)


def entry_here() -> Registered:
    """Returns this folder's replica, as the agent knows it or would know it.

    Raises:
        NotFound: it has none.
    """
    from memory_core.identity import identify  # noqa: PLC0415
    from sync_agent.agent.registry import Registered, Registry  # noqa: PLC0415
    from sync_agent.places import find_replica  # noqa: PLC0415

    here = Path.cwd()
    path = find_replica(here)
    if path is None:
        raise NotFound("this folder has no replica; `memctx init` makes one")
    for entry in Registry(agent_folder().registry).entries():
        if entry.path == path:
            return entry
    identity = identify(here)
    return Registered(path, identity.root or here, identity.slug)


def _now(run: Run) -> None:
    entry = entry_here()
    outcome = _synced(run, entry)
    if outcome.hub is None and outcome.problem is None:
        run.out.warn("no hub is named: `memctx remote add URL` names one; all is kept here")
    if outcome.problem is not None:
        raise outcome.problem
    for text in outcome.alerts:
        run.out.warn(text)
    run.out.note(outcome.summary)
    reports: list[JsonValue] = [report.document() for report in outcome.reports]
    run.out.finish({"hub": outcome.hub, "projects": reports}, count=len(reports))


def _synced(run: Run, entry: Registered) -> Outcome:
    """Runs one round; while the agent is at it, waits for it to end."""
    from sync_agent.agent.rounds import sync_replica  # noqa: PLC0415
    from sync_agent.channel import Retry  # noqa: PLC0415

    end = time.monotonic() + BUSY_SECONDS
    told = False
    while True:
        outcome = sync_replica(entry, retry=Retry(budget=RETRY_SECONDS))
        busy = outcome.problem is not None and outcome.problem.code == "sync_busy"
        if not busy or time.monotonic() > end:
            return outcome
        if not told:
            run.out.note("the agent is syncing this replica; waiting for it")
            told = True
        time.sleep(0.2)


def _cell(value: JsonValue) -> str | int | None:
    return value if isinstance(value, str | int) else None if value is None else str(value)
