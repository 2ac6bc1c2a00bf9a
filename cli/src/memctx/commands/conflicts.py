"""``memctx conflicts``: fields that two sides changed, with both values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.commands.options import read_text
from memctx.run import Run
from memctx.times import short_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

_NAMES = ("created_at", "record_kind", "record_id", "field", "kept", "pushed", "author", "id")
_COLUMNS = ("date", "kind", "record", "field", "kept", "pushed", "author", "id")


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def conflicts(context: click.Context) -> None:
    """List and resolve fields of which two values are kept.

    The hub's value counts until somebody chooses; the one that came too late is kept beside it.
    """
    run = context.find_object(Run)
    if context.invoked_subcommand is None and run is not None:
        run.out.command = "conflicts"
        _list(run)


@conflicts.command("list")
@click.pass_obj
def list_(run: Run) -> None:
    """List the conflicts that are open."""
    _list(run)


def _list(run: Run) -> None:
    project = run.one_project
    found = run.ask(lambda client: client.conflicts(project=project))
    rows = [[_cell(name, each.get(name)) for name in _NAMES] for each in found]
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.table(_COLUMNS, rows))


@conflicts.command("show")
@click.argument("conflict")
@click.pass_obj
def show(run: Run, conflict: str) -> None:
    """Show a conflict with both values whole."""
    found = run.ask(lambda client: client.conflict(conflict))
    run.out.finish(dict(found), human=lambda: run.out.fields(_fields(found)))


@conflicts.command("resolve")
@click.argument("conflict")
@click.option("--ours", is_flag=True, help="Take the value that was pushed and came too late.")
@click.option("--theirs", is_flag=True, help="Let the hub's value stay.")
@click.option("--edit", metavar="VALUE", help="Take another value; @FILE and - read it.")
@click.pass_obj
def resolve(run: Run, conflict: str, *, ours: bool, theirs: bool, edit: str | None) -> None:
    """Choose a value. In a folder with a replica this works offline, and syncs later."""
    if ours + theirs + (edit is not None) != 1:
        raise click.UsageError("say one of --ours, --theirs and --edit VALUE")
    before = run.ask(lambda client: client.conflict(conflict))
    resolution = "pushed" if ours else "kept" if theirs else "edited"
    value = None if edit is None else _value(read_text(edit) or "", before)
    found = run.change(lambda client: client.resolve_conflict(conflict, resolution, value))
    chosen = {"pushed": "the value that was pushed", "kept": "the hub's value"}
    run.out.note(f"{before.get('field')}: {chosen.get(resolution, 'the new value')} counts")
    run.out.finish(dict(found))


def _value(text: str, conflict: Mapping[str, JsonValue]) -> JsonValue:
    """Returns what ``--edit`` means: text where the field holds text, else JSON."""
    if all(isinstance(conflict.get(name), str | None) for name in ("kept", "pushed")):
        return text
    try:
        value: JsonValue = json.loads(text)
    except ValueError as error:
        raise click.BadParameter("this field holds JSON", param_hint="--edit") from error
    return value


def _fields(found: Mapping[str, JsonValue]) -> dict[str, str | int | float | list[str] | None]:
    return {name.replace("_", " "): _cell(name, value) for name, value in found.items()}


def _cell(name: str, value: JsonValue) -> str:
    if value is None:
        return ""
    if name.endswith("_at"):
        return short_time(str(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
