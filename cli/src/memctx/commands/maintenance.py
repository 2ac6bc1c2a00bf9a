"""``memctx log`` and ``memctx rebuild``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Command, Group
from memctx.errors import Failed
from memctx.run import Run

if TYPE_CHECKING:
    from pydantic import JsonValue


@click.group(cls=Group)
def log() -> None:
    """Check the log that everything rests on."""


@log.command("verify")
@click.pass_obj
def verify(run: Run) -> None:
    """Check every event against its digest, and every view against the log.

    Finds any row that was changed behind the hub's back; exits with 1 if one was.
    """
    with run.hub_or_embedded() as client:
        found = client.verify()
    bad = [project for project in found["projects"] if not project["ok"]]
    rows = [
        (
            project["slug"] or project["project"],
            project["events"],
            "ok" if project["ok"] else "not ok",
            project["problem"] or _views(project["differing_views"]),
        )
        for project in found["projects"]
    ]
    if bad:
        if not run.out.as_json:
            run.out.table(("project", "events", "state", "problem"), rows)
        first = bad[0]
        problem = first["problem"] or _views(first["differing_views"])
        only_views = all(project["problem"] is None for project in bad)
        mend = "`memctx rebuild` makes the views anew" if only_views else "restore a backup"
        raise Failed(
            f"{first['slug'] or first['project']}: {problem}; {mend}",
            report=cast("JsonValue", found),
        )
    run.out.note(f"{found['events']} events of {len(rows)} projects are as they were written")
    run.out.finish(
        cast("JsonValue", found),
        count=len(rows),
        human=lambda: run.out.table(("project", "events", "state", "problem"), rows),
    )


def _views(names: list[str]) -> str:
    return f"differs from the log: {', '.join(names)}" if names else ""


@click.command(cls=Command)
@click.pass_obj
def rebuild(run: Run) -> None:
    """Drop every view and make it anew from the log."""
    with run.hub_or_embedded() as client:
        done = client.rebuild()
    same = "equal to what was there" if done["equal"] else "other than what was there"
    run.out.note(f"rebuilt in {done['took_ms'] / 1000:.1f} s; {same}")
    run.out.finish(cast("JsonValue", done))
