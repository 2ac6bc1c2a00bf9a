"""``memctx keys``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.commands import options
from memctx.run import Run
from memctx.times import short_date, short_time, time_option

if TYPE_CHECKING:
    from pydantic import JsonValue

MAX_OVERLAP_HOURS = 30 * 24
SCOPES = click.Choice(("read", "write", "admin"))


@click.group(cls=Group)
def keys() -> None:
    """List, create, replace and revoke API keys. Needs the scope admin."""


@keys.command("list")
@click.pass_obj
def list_(run: Run) -> None:
    """List keys; the secrets are not kept and cannot be shown."""
    found = run.client.keys.list()
    rows = [
        (
            k["name"],
            k["owner"],
            ", ".join(k["scopes"]),
            ", ".join(k["projects"] or ["all"]),
            "revoked" if k["revoked_at"] else short_time(k["expires_at"]),
            short_date(k["last_used_at"]),
            k["id"],
        )
        for k in found
    ]
    columns = ("name", "owner", "scopes", "projects", "ends", "last used", "id")
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.table(columns, rows))


@keys.command("create")
@click.argument("name")
@click.option("--owner", help="Who acts with it; by default NAME.")
@click.option(
    "--scope",
    "scopes",
    type=SCOPES,
    multiple=True,
    default=("read", "write"),
    help="What it may do: read, write, admin; repeat for more.",
)
@click.option("--expires", type=time_option, metavar="TIME", help="When it ends.")
@click.pass_obj
def create(
    run: Run, name: str, owner: str | None, scopes: tuple[str, ...], expires: str | None
) -> None:
    """Make a key for reading and writing; prints it, once.

    With --project it is good for those projects only.
    """
    body: dict[str, JsonValue] = {"name": name, "scopes": [*scopes]}
    if owner:
        body["owner"] = owner
    if run.options.projects:
        body["projects"] = [*(run.project_document(p)["id"] for p in run.options.projects)]
    if expires:
        body["expires_at"] = expires
    made = run.client.keys.create(body)
    run.out.note(f"key {made['id']} for {made['owner']}: it is shown only now")
    run.out.finish(cast("JsonValue", made), human=lambda: run.out.text(made.get("key", "")))


@keys.command("rotate")
@click.argument("key")
@click.option(
    "--overlap",
    type=click.FloatRange(0, MAX_OVERLAP_HOURS),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="How long the old one goes on; 0 ends it now.",
)
@click.option("--expires", type=time_option, metavar="TIME", help="When the new one ends.")
@click.pass_obj
def rotate(run: Run, key: str, overlap: float, expires: str | None) -> None:
    """Replace a key by a new one of the same rights; prints it, once. KEY is the old one's id.

    Both work for the overlap, so that every place that holds the old one can be changed.
    """
    body: dict[str, JsonValue] = {"overlap_seconds": round(overlap * 3600)}
    if expires:
        body["expires_at"] = expires
    made = run.client.keys.rotate(key, body)
    ends = short_time(made["replaces"]["expires_at"])
    run.out.note(f"key {made['id']} replaces {key}, which ends {ends}: it is shown only now")
    run.out.finish(cast("JsonValue", made), human=lambda: run.out.text(made.get("key", "")))


@keys.command("revoke")
@click.argument("key")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def revoke(run: Run, key: str, yes: bool) -> None:
    """End a key at once; KEY is its id."""
    options.confirm(f"Revoke the key {key}?", yes=yes)
    run.client.keys.revoke(key)
    run.out.note(f"key {key} revoked")
    run.out.finish({"id": key, "result": "revoked"})
