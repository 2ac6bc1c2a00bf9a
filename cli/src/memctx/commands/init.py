"""``memctx init``."""

from __future__ import annotations

from pathlib import Path

import click

from memctx.cli import Command
from memctx.run import Run


@click.command(cls=Command)
@click.option("--user", is_flag=True, help="Keep it in your data folder, not in the repository.")
@click.option("--slug", help="The project's name; by default that of the git remote.")
@click.option("--parent", help="The slug of the project that it is a part of.")
@click.pass_obj
def init(run: Run, *, user: bool, slug: str | None, parent: str | None) -> None:
    """Make a replica: a memory for this repository that works with no hub and no network.

    It lies in .memctx in the repository, and git ignores it. Worktrees share it; a submodule
    gets its own.
    """
    from memory_core.identity import identify  # noqa: PLC0415
    from sync_agent.agent.enrolling import enrol  # noqa: PLC0415
    from sync_agent.agent.folder import AgentFolder  # noqa: PLC0415
    from sync_agent.config import user_state_directory  # noqa: PLC0415
    from sync_agent.places import find_replica  # noqa: PLC0415
    from sync_agent.replica import Replica  # noqa: PLC0415

    here = Path.cwd()
    before = find_replica(here)
    folder = AgentFolder(user_state_directory() / "agent")
    folder.make()
    path = enrol(folder, here, user=user, slug=slug, parent=parent).path
    with Replica.open(path) as replica:
        own = replica.projects()[0]
    if before is not None:
        run.out.note(f"there is a replica of {own.slug} already")
    elif identify(here).weak:
        run.out.warn(
            f"this folder is no git repository with a remote: {own.slug} is known by its path;"
            " name the project with --slug or in .memctx.toml"
        )
    data = {"path": str(path), "id": own.id, "slug": own.slug, "known_by": own.identity}
    made = before is None
    run.out.finish({**data, "changed": made}, human=lambda: run.out.text(str(path)))
