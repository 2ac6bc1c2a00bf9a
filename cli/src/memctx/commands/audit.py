"""``memctx audit``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.commands import options
from memctx.errors import Failed
from memctx.run import Run
from memctx.times import short_time

if TYPE_CHECKING:
    from pydantic import JsonValue

COLUMNS = ("time", "actor", "key", "act", "target", "detail", "seq")

_ANCHOR = re.compile(r"[1-9][0-9]{0,17}:[0-9a-f]{64}")
_tenant = click.option("--tenant", metavar="ID", help="Another tenant; for the hub's own key.")


@click.group(cls=Group)
def audit() -> None:
    """Show and check who did what to keys, tenants and the hub. Needs the scope admin."""


@audit.command("list")
@click.option("--act", help="Only one kind of act, such as key.revoke or refused.")
@_tenant
@options.limit_option(20)
@click.pass_obj
def list_(run: Run, act: str | None, tenant: str | None, limit: int, everything: bool) -> None:
    """List what was done, the latest first."""
    with run.hub_or_embedded() as client:
        most = None if everything else limit
        found = [*client.audit.list(act=act, tenant=tenant, limit=most)]
    rows = [
        (
            short_time(one["at"]),
            one["actor"],
            one["key_id"],
            one["act"],
            one["target"],
            json.dumps(one["detail"], ensure_ascii=False) if one["detail"] else "",
            one["seq"],
        )
        for one in found
    ]
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.table(COLUMNS, rows))


def _anchor(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _ANCHOR.fullmatch(value):
        raise click.BadParameter("an anchor is a head that verify printed: SEQ:DIGEST")
    return value


@audit.command("verify")
@click.option(
    "--anchor",
    metavar="SEQ:DIGEST",
    callback=_anchor,
    help="A head that was printed before and kept elsewhere.",
)
@_tenant
@click.pass_obj
def verify(run: Run, anchor: str | None, tenant: str | None) -> None:
    """Follow the audit log link by link, and print its head.

    Finds entries that were changed, taken out or moved; exits with 1 if one was. Entries taken
    from the end show only with --anchor: keep the head where who can change the database cannot.
    """
    with run.hub_or_embedded() as client:
        found = client.audit.verify(anchor=anchor, tenant=tenant)
    if not found["ok"]:
        raise Failed(
            f"the audit log was changed: {found['problem']}", report=cast("JsonValue", found)
        )
    run.out.note(f"{found['entries']} entries are as they were written")
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.text(found["head"]))
