"""``memctx rejected``: what the hub refused, kept with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.commands.options import read_text
from memctx.commands.sync import entry_here
from memctx.run import Run
from memctx.times import short_time

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent.replica import Replica

_COLUMNS = ("date", "type", "kind", "record", "reason", "id")


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def rejected(context: click.Context) -> None:
    """List what the hub refused of this folder's work; edit, resend or discard it.

    Nothing of it is lost, and nothing of it is sent again by itself.
    """
    run = context.find_object(Run)
    if context.invoked_subcommand is None and run is not None:
        run.out.command = "rejected"
        _list(run)


@rejected.command("list")
@click.pass_obj
def list_(run: Run) -> None:
    """List what was refused, the oldest first."""
    _list(run)


def _list(run: Run) -> None:
    from sync_agent.local import rejected as kept  # noqa: PLC0415 - loads the rules of all records

    with _replica() as replica:
        found = kept.rejected(replica)
    rows = [
        (
            short_time(str(each["at"])),
            str(each["type"]),
            str(each["kind"]),
            str(each["record_id"]),
            str(each["detail"] or each["code"] or ""),
            str(each["op_id"]),
        )
        for each in found
    ]
    run.out.finish([*found], human=lambda: run.out.table(_COLUMNS, rows))


@rejected.command("show")
@click.argument("operation")
@click.pass_obj
def show(run: Run, operation: str) -> None:
    """Show a refused operation with all it holds."""
    from sync_agent.local import rejected as kept  # noqa: PLC0415

    with _replica() as replica:
        found = kept.one_rejected(replica, operation)
    body = json.dumps(found["body"], ensure_ascii=False, indent=1)
    fields = {name: None if value is None else str(value) for name, value in found.items()}
    run.out.finish(found, human=lambda: run.out.fields({**fields, "body": body}))


@rejected.command("edit")
@click.argument("operation")
@click.option(
    "--set",
    "changes",
    multiple=True,
    required=True,
    metavar="FIELD=VALUE",
    help="A field's new value, text or JSON; @FILE reads it, null leaves it out.",
)
@click.pass_obj
def edit(run: Run, operation: str, changes: tuple[str, ...]) -> None:
    """Change a refused operation and send it again."""
    _resend(run, operation, dict(_change(change) for change in changes))


@rejected.command("resend")
@click.argument("operation")
@click.pass_obj
def resend(run: Run, operation: str) -> None:
    """Send a refused operation again as it is, once what was in the way is mended."""
    _resend(run, operation, {})


@rejected.command("discard")
@click.argument("operation")
@click.pass_obj
def discard(run: Run, operation: str) -> None:
    """Let go of a refused operation."""
    with _replica() as replica:
        replica.discard(operation)
    run.out.note(f"operation {operation} discarded")
    run.out.finish({"op_id": operation, "result": "discarded"})


def _resend(run: Run, operation: str, changes: dict[str, JsonValue]) -> None:
    from memctx.commands.agent import agent_folder  # noqa: PLC0415
    from sync_agent.agent.asking import poke  # noqa: PLC0415
    from sync_agent.local import rejected as kept  # noqa: PLC0415

    with _replica() as replica:
        written = kept.resend(replica, operation, changes)
        path = replica.path
    poke(agent_folder(), path)
    run.out.note(f"operation {operation} is sent again with the next sync, as {written.op_id}")
    run.out.finish({"op_id": written.op_id, "number": written.number, "replaces": operation})


def _change(text: str) -> tuple[str, JsonValue]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter("written as FIELD=VALUE", param_hint="--set")
    given = read_text(value) or ""
    try:
        return name, cast("JsonValue", json.loads(given))
    except ValueError:
        return name, given


@contextmanager
def _replica() -> Iterator[Replica]:
    from sync_agent.replica import Replica  # noqa: PLC0415

    with Replica.open(entry_here().path) as replica:
        yield replica
