"""``memctx tenants``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.run import Run
from memctx.times import short_time

if TYPE_CHECKING:
    from pydantic import JsonValue


@click.group(cls=Group)
def tenants() -> None:
    """List and add teams that share this hub and nothing else. Needs the hub's own key."""


@tenants.command("list")
@click.pass_obj
def list_(run: Run) -> None:
    """List the tenants with their sizes."""
    found = run.client.tenants.list()
    rows = [
        (one["name"], one["projects"], one["events"], one["keys"],
         short_time(one["created_at"]), one["id"])
        for one in found
    ]  # fmt: skip
    columns = ("name", "projects", "events", "keys", "created", "id")
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.table(columns, rows))


@tenants.command("add")
@click.argument("name")
@click.option("--owner", help="Who acts with its first key; by default admin.")
@click.pass_obj
def add(run: Run, name: str, owner: str | None) -> None:
    """Make a tenant; prints its first admin key, once."""
    body: dict[str, JsonValue] = {"name": name}
    if owner:
        body["owner"] = owner
    made = run.client.tenants.create(body)
    run.out.note(f"tenant {made['name']} ({made['id']}): its key is shown only now")
    run.out.finish(cast("JsonValue", made), human=lambda: run.out.text(made["key"]))
