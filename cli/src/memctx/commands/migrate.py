"""``memctx migrate``."""

from __future__ import annotations

from pathlib import Path

import click

from memctx.cli import Command
from memctx.run import Run


@click.command(cls=Command)
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where the data lies."
)
@click.pass_obj
def migrate(run: Run, *, data_dir: Path | None) -> None:
    """Bring the database to this version's schema.

    `memctx serve` does it by itself for a database in a file. One on PostgreSQL is migrated as
    the owner of its tables, whom MEMCTX_DATABASE_URL must name here.
    """
    from memctx import embedded  # noqa: PLC0415 - loads the hub

    revision = embedded.migrate(embedded.keyless_settings(data_dir=data_dir))
    run.out.note(f"the database is at revision {revision}")
    run.out.finish({"revision": revision})
