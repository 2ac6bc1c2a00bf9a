"""``memctx tags`` and ``memctx conflicts``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Command
from memctx.run import Run
from memctx.times import short_time

if TYPE_CHECKING:
    from pydantic import JsonValue


@click.command(cls=Command)
@click.pass_obj
def tags(run: Run) -> None:
    """List the tags in use."""
    found = run.client.tags(project=run.one_project)
    rows = [(tag["tag"], tag["sessions"], tag["patterns"]) for tag in found]
    run.out.finish(
        cast("JsonValue", found),
        human=lambda: run.out.table(("tag", "sessions", "patterns"), rows),
    )


@click.command(cls=Command)
@click.pass_obj
def conflicts(run: Run) -> None:
    """List fields of which two values are kept: the hub's, and one that came too late."""
    found = run.client.conflicts(project=run.one_project)
    names = ("created_at", "record_kind", "record_id", "field", "kept", "pushed", "author")
    rows = [[_cell(name, each.get(name)) for name in names] for each in found]
    columns = ("date", "kind", "id", "field", "kept", "pushed", "author")
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.table(columns, rows))


def _cell(name: str, value: JsonValue) -> str:
    if name == "created_at":
        return short_time(str(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
