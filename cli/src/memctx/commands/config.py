"""``memctx config``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from memctx.cli import Group
from memctx.run import Run
from sync_agent import config_layers as layers
from sync_agent.config import data_directory, user_config_file

if TYPE_CHECKING:
    from pydantic import JsonValue


@click.group(cls=Group)
def config() -> None:
    """Show the settings and where they come from."""


@config.command("show")
@click.pass_obj
def show(run: Run) -> None:
    """Show the client's settings; secrets are masked."""
    found = run.config
    rows: list[tuple[str, str, str]] = []
    for name, value in found.settings.items():
        text = mask(value.text) if name in {layers.KEY, layers.KEY_FILE} else value.text
        rows.append((name, text, value.source))
    rows.append((layers.DATA_DIR, str(data_directory()), "for a hub started here"))
    settings: list[JsonValue] = [
        {"name": name, "value": value, "source": source} for name, value, source in rows
    ]
    run.out.finish(
        {"settings": settings, "user_file": str(user_config_file())},
        count=len(rows),
        human=lambda: run.out.table(("setting", "value", "from"), rows),
    )


def mask(key: str) -> str:
    """Returns a key with its public part only."""
    parts = key.split("_")
    return f"mctx_{parts[1]}_…" if len(parts) >= 3 and parts[0] == "mctx" else "…"
