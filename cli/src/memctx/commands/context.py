"""``memctx context``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Command
from memctx.commands.search import KINDS, warn_degraded
from memctx.run import Run
from sync_agent.config import load_project

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent import documents as doc


@click.command(cls=Command)
@click.argument("query", nargs=-1)
@click.option(
    "--budget",
    type=click.IntRange(100, 32_000),
    default=2_000,
    show_default=True,
    help="Tokens to fill at most.",
)
@click.option("--session", help="The session that asks: its own messages are left out.")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Only this kind.")
@click.pass_obj
def context(
    run: Run, query: tuple[str, ...], budget: int, session: str | None, kinds: tuple[str, ...]
) -> None:
    """Pack what is worth knowing about this folder's project into a token budget.

    With QUERY what answers it comes with the last state of work, the patterns and the last
    session; without it these alone.
    """
    options: dict[str, JsonValue] = {"budget_tokens": budget}
    options |= {"query": " ".join(query)} if query else {}
    options |= {"session_id": session} if session else {}
    options |= {"kinds": [*kinds]} if kinds else {}
    pack = _of_agent(run, options)
    if pack is None:
        project = run.project_to_read()
        pack = run.ask(lambda client: client.context(project, **options))
    warn_degraded(run.out, pack["degraded"], None)
    run.out.note(
        f"{len(pack['items'])} records, {pack['tokens_used']} of {pack['budget_tokens']} tokens"
    )
    run.out.finish(
        cast("JsonValue", pack),
        count=len(pack["items"]),
        human=lambda: run.out.text(pack["text"]) if pack["text"] else None,
    )


def _of_agent(run: Run, options: dict[str, JsonValue]) -> doc.ContextPack | None:
    """Returns the pack that the agent makes of this folder's own project, None without one."""
    if run.options.projects:
        return None
    pack = run.of_agent({"do": "context", "project": load_project(), "options": options})
    return cast("doc.ContextPack | None", pack)
