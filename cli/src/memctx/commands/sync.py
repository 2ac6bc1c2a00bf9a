"""``memctx sync``: bring this folder's replica and its hub level, and look after it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.commands.agent import agent_folder
from memctx.errors import Failed
from memctx.run import Run
from memory_core.errors import Corrupt, NotFound

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent.agent.registry import Registered
    from sync_agent.agent.rounds import Outcome
    from sync_agent.replica import Replica
    from sync_agent.sync import Options, Transport

BUSY_SECONDS = 60.0
RETRY_SECONDS = 5.0


@click.group(cls=Group, invoke_without_command=True)
@click.option("--full", is_flag=True, help="Read everything again, into a new file.")
@click.pass_context
def sync(context: click.Context, *, full: bool) -> None:
    """Push what was written here and pull what is new, now.

    The agent (`memctx agent install`) does this by itself.
    """
    run = context.find_object(Run)
    if run is None or context.invoked_subcommand is not None:
        return
    run.out.command = "sync"
    _now(run, full=full)


@sync.command("now")
@click.option("--full", is_flag=True, help="Read everything again, into a new file.")
@click.pass_obj
def now(run: Run, *, full: bool) -> None:
    """Push and pull now."""
    _now(run, full=full)


@sync.command("verify")
@click.pass_obj
def verify(run: Run) -> None:
    """Check this folder's replica against its own digests and against its hub.

    The log is compared by digests of ranges: what is asked grows with the difference, not with
    the log. Exits with 1 if anything differs.
    """
    from sync_agent import sync as engine  # noqa: PLC0415

    with _linked() as (replica, transport, options):
        found = [engine.verify(replica, row.id, transport, options) for row in replica.projects()]
        slugs = [row.slug for row in replica.projects()]
    data: list[JsonValue] = [one.document() for one in found]
    rows = [
        (slug, len(one.damage), len(one.differing), "yes" if one.restored else "")
        for slug, one in zip(slugs, found, strict=True)
    ]
    columns = ("project", "damaged", "differing events", "hub restored")
    if not all(one.well for one in found):
        if not run.out.as_json:
            run.out.table(columns, rows)
        raise Failed(
            "the replica is not what its hub has; mend it: memctx sync repair", report=data
        )
    run.out.note("the replica is what its hub has")
    run.out.finish(data, human=lambda: run.out.table(columns, rows))


@sync.command("repair")
@click.pass_obj
def repair(run: Run) -> None:
    """Fetch what differs from the hub; a damaged file is set aside and made anew.

    What was not pushed yet is kept.
    """
    from sync_agent import sync as engine  # noqa: PLC0415
    from sync_agent.agent.rounds import renew_replica  # noqa: PLC0415

    try:
        with _linked() as (replica, transport, options):
            done = [
                engine.repair(replica, row.id, transport, options) for row in replica.projects()
            ]
    except Corrupt as error:
        run.out.warn(f"{error.detail}: the file is set aside")
        renewed = renew_replica(entry_here())
        run.out.note(f"it lies at {renewed.aside}; {renewed.kept} operations were carried over")
        _now(run, full=False, also={"renewed": renewed.document()})
        return
    fetched = sum(one.fetched for one in done)
    run.out.note(f"{fetched} events fetched; the replica is what its hub has")
    data: list[JsonValue] = [one.document() for one in done]
    run.out.finish({"renewed": None, "projects": data}, count=len(data))


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


def _now(run: Run, *, full: bool, also: dict[str, JsonValue] | None = None) -> None:
    entry = entry_here()
    outcome = _synced(run, entry, full=full)
    if outcome.hub is None and outcome.problem is None:
        run.out.warn("no hub is named: `memctx remote add URL` names one; all is kept here")
    if outcome.problem is not None:
        raise outcome.problem
    for text in outcome.alerts:
        run.out.warn(text)
    run.out.note(outcome.summary)
    reports: list[JsonValue] = [report.document() for report in outcome.reports]
    data = {"hub": outcome.hub, "projects": reports, **(also or {})}
    run.out.finish(data, count=len(reports))


def _synced(run: Run, entry: Registered, *, full: bool) -> Outcome:
    """Runs one round; while the agent is at it, waits for it to end."""
    from sync_agent.agent.rounds import sync_replica  # noqa: PLC0415
    from sync_agent.channel import Retry  # noqa: PLC0415

    end = time.monotonic() + BUSY_SECONDS
    told = False
    while True:
        outcome = sync_replica(entry, retry=Retry(budget=RETRY_SECONDS), full=full, index=True)
        busy = outcome.problem is not None and outcome.problem.code == "sync_busy"
        if not busy or time.monotonic() > end:
            return outcome
        if not told:
            run.out.note("the agent is syncing this replica; waiting for it")
            told = True
        time.sleep(0.2)


@contextmanager
def _linked() -> Iterator[tuple[Replica, Transport, Options]]:
    """Yields this folder's replica and the way to its hub.

    Raises:
        NotFound: the folder has no replica, or no hub is named for it.
        Corrupt: the file cannot be opened.
    """
    from sync_agent.agent.linking import hub_for, link, options_for  # noqa: PLC0415
    from sync_agent.channel import Retry  # noqa: PLC0415
    from sync_agent.replica import Replica  # noqa: PLC0415

    entry = entry_here()
    with Replica.open(entry.path) as replica:
        config = hub_for(replica, entry.root)
        if config is None:
            raise NotFound("no hub is named to compare with; `memctx remote add URL` names one")
        with link(config, Retry(budget=RETRY_SECONDS)) as transport:
            yield replica, transport, options_for(entry)


def _cell(value: JsonValue) -> str | int | None:
    return value if isinstance(value, str | int) else None if value is None else str(value)
