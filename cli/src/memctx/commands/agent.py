"""``memctx agent``: the process that keeps all replicas of a user in step with their hubs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.run import Run
from memctx.times import short_time
from memory_core.errors import ContextError, NotFound

if TYPE_CHECKING:
    from pydantic import JsonValue

    from memory_core.records import Document
    from sync_agent.agent.folder import AgentFolder
    from sync_agent.agent.installing import Step

WAYS = click.Choice(("systemd", "launchd", "cron"))


@click.group(cls=Group)
def agent() -> None:
    """Keep replicas in step with their hubs, by itself."""


def agent_folder() -> AgentFolder:
    """Returns where the user's agent keeps its things."""
    from sync_agent.agent.folder import AgentFolder  # noqa: PLC0415
    from sync_agent.config import user_state_directory  # noqa: PLC0415

    return AgentFolder(user_state_directory() / "agent")


@agent.command("run")
@click.pass_obj
def run_(run: Run) -> None:
    """Run the agent in the foreground, for a supervisor."""
    from memctx.commands.program import own_version  # noqa: PLC0415
    from sync_agent.agent.logs import open_log  # noqa: PLC0415
    from sync_agent.agent.service import Service  # noqa: PLC0415

    folder = agent_folder()
    folder.make()
    log = open_log(folder.log, sys.stderr if sys.stderr.isatty() and not run.out.quiet else None)
    Service(folder, log, version=own_version()).run()
    # What still waits for a hub in another thread is safe to cut off, and would hold up the end.
    sys.stdout.flush()
    os._exit(0)


@agent.command("start")
@click.option("--unless-stopped", is_flag=True, help="Not after `memctx agent stop`.")
@click.pass_obj
def start(run: Run, *, unless_stopped: bool) -> None:
    """Start the agent in the background; one that runs is left alone."""
    from sync_agent.agent import starting  # noqa: PLC0415

    folder = agent_folder()
    if unless_stopped and folder.stopped.exists():
        run.out.note("the agent was stopped; `memctx agent start` starts it again")
        run.out.finish({"pid": None}, count=0)
        return
    pid = starting.start(folder)
    run.out.note(f"the agent runs (process {pid}, log in {folder.log})")
    run.out.finish({"pid": pid, "log": str(folder.log)})


@agent.command("stop")
@click.pass_obj
def stop(run: Run) -> None:
    """Stop the agent; what waits for a hub is kept until it runs again."""
    from sync_agent.agent import starting  # noqa: PLC0415
    from sync_agent.agent.installing import Way, installed_way  # noqa: PLC0415

    folder = agent_folder()
    if installed_way(folder) is Way.CRON:
        folder.stopped.touch(mode=0o600)
    pid = starting.stop(folder)
    run.out.note("no agent runs" if pid is None else f"the agent (process {pid}) is stopped")
    run.out.finish({"pid": pid, "stopped": pid is not None}, count=int(pid is not None))


@agent.command("status")
@click.option("--prune", is_flag=True, help="Forget replicas whose file is gone.")
@click.pass_obj
def status(run: Run, *, prune: bool) -> None:
    """Show the agent and how each replica stands with its hub."""
    from sync_agent.agent.asking import AgentNotRunning, ask  # noqa: PLC0415
    from sync_agent.agent.installing import installed_way  # noqa: PLC0415
    from sync_agent.agent.registry import Registry  # noqa: PLC0415
    from sync_agent.agent.standing import standing  # noqa: PLC0415

    folder = agent_folder()
    registry = Registry(folder.registry)
    if prune:
        for entry in registry.prune():
            run.out.note(f"{entry.project}: {entry.path} is gone and forgotten")
    try:
        found: Document | None = ask(folder, {"do": "status"})
    except AgentNotRunning:
        found = None
    way = installed_way(folder)
    told = found.pop("replicas", {}) if found is not None else {}
    replicas = [standing(entry) for entry in registry.entries()]
    for each in replicas:
        each["agent"] = told.get(str(each["replica"])) if isinstance(told, dict) else None
        for text in cast("list[str]", each["alerts"]):
            run.out.warn(text)
    data: Document = {
        "agent": found,
        "installed": None if way is None else way.value,
        "replicas": [*replicas],
    }
    run.out.finish(data, count=len(replicas), human=lambda: _print_status(run, data, replicas))


def _print_status(run: Run, data: Document, replicas: list[Document]) -> None:
    found = data["agent"]
    if isinstance(found, dict):
        memory = found.get("rss_bytes")
        shown = f", {memory / 1e6:.0f} MB" if isinstance(memory, int) else ""
        run.out.note(f"the agent runs (process {found['pid']}{shown})")
    else:
        run.out.note("no agent runs: replicas are synced by `memctx sync` only")
    if data["installed"] is None:
        run.out.note("it is not installed: `memctx agent install` lets it start with your session")
    columns = (
        "project", "state", "last sync", "behind", "pending", "conflicts", "rejected", "problem",
    )  # fmt: skip
    run.out.table(columns, [_row(each) for each in replicas])


def _row(each: Document) -> list[str | int | None]:
    projects = cast("list[Document]", each["projects"])
    own = next((p for p in projects if p["role"] == "own"), {})
    told = each.get("agent")
    error = (told.get("error") if isinstance(told, dict) else None) or each["error"]
    problem = error.get("detail") if isinstance(error, dict) else error
    when = own.get("last_sync_at")

    def total(name: str) -> int | None:
        return sum(cast("int", p[name]) for p in projects) if projects else None

    return [
        str(each["project"]),
        str(each["state"]),
        short_time(str(when)) if when else "",
        total("behind"),
        total("pending"),
        total("conflicts"),
        total("rejected"),
        str(problem or ""),
    ]


@agent.command("pause")
@click.option("--all", "everything", is_flag=True, help="All replicas, not this folder's.")
@click.pass_obj
def pause(run: Run, *, everything: bool) -> None:
    """Let this folder's replica be; its work waits until `memctx agent resume`."""
    _set_paused(run, everything=everything, paused=True)


@agent.command("resume")
@click.option("--all", "everything", is_flag=True, help="All replicas, not this folder's.")
@click.pass_obj
def resume(run: Run, *, everything: bool) -> None:
    """Sync this folder's replica again."""
    _set_paused(run, everything=everything, paused=False)


def _set_paused(run: Run, *, everything: bool, paused: bool) -> None:
    from sync_agent.agent.registry import Registry  # noqa: PLC0415

    folder = agent_folder()
    registry = Registry(folder.registry)
    paths = [entry.path for entry in registry.entries()] if everything else [_replica_here()]
    changed = [str(path) for path in paths if registry.pause(path, paused=paused)]
    if not everything and not changed:
        raise NotFound(f"{paths[0]} is not registered; `memctx agent install` registers it")
    look(folder)
    word = "paused" if paused else "resumed"
    run.out.note(f"{len(changed)} {'replica' if len(changed) == 1 else 'replicas'} {word}")
    run.out.finish(cast("JsonValue", changed))


@agent.command("install")
@click.option("--all", "everything", is_flag=True, help="Also a replica in each submodule.")
@click.option("--with", "way_name", type=WAYS, help="What is to start it; found by itself.")
@click.option("--dry-run", is_flag=True, help="Only show what would be written and run.")
@click.pass_obj
def install(run: Run, *, everything: bool, way_name: str | None, dry_run: bool) -> None:
    """Make a replica here, and let the agent start with your session.

    Done again it changes nothing. Memory stays where it is until a hub is named with `memctx
    remote add`.
    """
    from sync_agent.agent import installing, starting  # noqa: PLC0415
    from sync_agent.agent.units import Program  # noqa: PLC0415
    from sync_agent.config import folder_variables  # noqa: PLC0415

    way = installing.Way(way_name) if way_name else installing.find_way()
    program = Program(starting.own_program(), folder_variables())
    folder = agent_folder()
    folders = _folders(everything=everything)
    if dry_run:
        _show_plan(run, installing.plan(way, program, Path.home()), folders)
        return
    made = [_register(run, folder, each) for each in folders]
    folder.make()
    steps = installing.install(folder, way, program, Path.home())
    pid = starting.start(folder)
    look(folder)
    run.out.note(f"the agent is installed with {way.value} and runs (process {pid})")
    data: Document = {
        "with": way.value,
        "changed": [step.what if step.file is None else str(step.file) for step in steps],
        "replicas": [*made],
        "pid": pid,
    }
    rows = [(str(each["project"]), str(each["replica"]), each["new"] and "new") for each in made]
    run.out.finish(
        data,
        count=len(made),
        human=lambda: run.out.table(
            ("project", "replica", "made"), [(a, b, str(c or "")) for a, b, c in rows]
        ),
    )


@agent.command("uninstall")
@click.pass_obj
def uninstall(run: Run) -> None:
    """Stop the agent and take away all that belongs to it; the replicas stay where they are."""
    from sync_agent.agent import installing, starting  # noqa: PLC0415

    folder = agent_folder()
    pid = starting.stop(folder)
    removed = installing.uninstall(folder)
    installing.remove_state(folder)
    run.out.note("the agent is uninstalled; replicas and what they hold are untouched")
    run.out.finish({"pid": pid, "removed": [*removed]}, count=len(removed))


def look(folder: AgentFolder) -> None:
    """Lets a running agent read the list of replicas again."""
    from sync_agent.agent.asking import ask  # noqa: PLC0415

    try:
        ask(folder, {"do": "look"}, seconds=1.0)
    except ContextError:
        # It reads the list by itself within a minute, or when it starts.
        return


def _replica_here() -> Path:
    """Returns this folder's replica.

    Raises:
        NotFound: it has none.
    """
    from sync_agent.places import find_replica  # noqa: PLC0415

    path = find_replica(Path.cwd())
    if path is None:
        raise NotFound("this folder has no replica; `memctx init` makes one")
    return path


def _folders(*, everything: bool) -> list[Path]:
    """Returns the folders that are to have a replica: this one's, and its submodules'."""
    from memory_core.git_files import find_repository, submodules  # noqa: PLC0415
    from sync_agent.places import find_replica  # noqa: PLC0415

    here = Path.cwd().resolve()
    repository = find_repository(here)
    if repository is None:
        return [here] if find_replica(here) is not None else []
    return [repository.root, *(submodules(repository.root) if everything else [])]


def _register(run: Run, folder: AgentFolder, root: Path) -> Document:
    from sync_agent.agent.enrolling import enrol  # noqa: PLC0415

    found = enrol(folder, root)
    if found.new:
        run.out.note(f"{found.project}: a replica is made at {found.path}")
    return {"project": found.project, "replica": str(found.path), "new": found.new}


def _show_plan(run: Run, steps: list[Step], folders: list[Path]) -> None:
    rows: list[Document] = [{"do": "replica", "what": str(folder)} for folder in folders]
    for step in steps:
        if step.file is not None:
            text = step.content.decode("utf-8", "replace")
            rows.append({"do": "write", "what": str(step.file), "content": text})
        else:
            rows.append({"do": "run", "what": step.what})

    def show() -> None:
        for row in rows:
            run.out.text(f"{row['do']} {row['what']}")
            if "content" in row:
                run.out.text(str(row["content"]).rstrip("\n"))

    run.out.finish([*rows], human=show)
