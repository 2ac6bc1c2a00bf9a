"""``memctx worker``."""

from __future__ import annotations

import click

from memctx.cli import Command


@click.command(cls=Command)
def worker() -> int:
    """Index what is written, beside an API with MEMCTX_ROLE=api.

    Any number of workers may run on one database in PostgreSQL. Each says how it is at
    /health/ready on MEMCTX_PORT of its own machine, and answers nothing else.
    """
    from memctx import embedded  # noqa: PLC0415 - loads the hub

    return embedded.serve(embedded.keyless_settings(role="worker"))
