"""``memctx erasures``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memctx import erasures as lists
from memctx.cli import Group
from memctx.run import Run
from memory_core.clock import now
from memory_core.errors import Forbidden
from sync_agent.files import complete_file

if TYPE_CHECKING:
    from sync_agent.client import HubClient


@click.group(cls=Group)
def erasures() -> None:
    """Keep a list of what was erased, so that no older backup brings it back."""


@erasures.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def export(run: Run, file: Path) -> None:
    """Write the ids of all records that were erased; `memctx restore --erasures FILE` takes them.

    FILE is written over. With the hub's own key it names those of all tenants, with another
    admin key those of that key's. Keep it beside the backups and write it anew after erasing.
    """
    with run.hub_or_embedded() as client, complete_file(file) as target:
        count = lists.write(target, now(), _exports(client))
    run.out.note(f"{count} erased records listed in {file}")
    run.out.finish({"file": str(file), "erased": count}, count=count)


def _exports(client: HubClient) -> Iterator[Iterator[bytes]]:
    tenants: list[str | None] = [None]
    with suppress(Forbidden):
        tenants = [one["id"] for one in client.tenants.list()]
    for tenant in tenants:
        with client.export(tenant=tenant) as pieces:
            yield pieces
