"""``memctx tags``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Command
from memctx.run import Run

if TYPE_CHECKING:
    from pydantic import JsonValue


@click.command(cls=Command)
@click.pass_obj
def tags(run: Run) -> None:
    """List the tags in use."""
    project = run.one_project
    found = run.ask(lambda client: client.tags(project=project))
    rows = [(tag["tag"], tag["sessions"], tag["patterns"]) for tag in found]
    run.out.finish(
        cast("JsonValue", found),
        human=lambda: run.out.table(("tag", "sessions", "patterns"), rows),
    )
