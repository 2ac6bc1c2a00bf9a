"""``memctx index``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.errors import Failed
from memctx.run import Run

if TYPE_CHECKING:
    from pydantic import JsonValue

COLUMNS = ("project", "state", "expected", "held", "missing", "stale", "orphans", "not found")


@click.group(cls=Group)
def index() -> None:
    """Check, mend and rebuild the vectors that a team's hub keeps in Chroma.

    Another embedding model needs no command: name it in the hub's settings, and the workers
    build its vectors beside the old ones and switch when they are complete.
    """


def _project(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--project", "-p", help="Only this one, by slug or id.")(command)


@index.command("verify")
@_project
@click.pass_obj
def verify(run: Run, *, project: str | None) -> None:
    """Compare Chroma with SQL by id and hash, and ask it for what it must find.

    Changes nothing; exits with 1 if something differs.
    """
    _care(run, "verify", project, mend="`memctx index repair` mends it")


@index.command("repair")
@_project
@click.pass_obj
def repair(run: Run, *, project: str | None) -> None:
    """Mend what differs, build anew what is damaged, and try again what could not be embedded."""
    _care(run, "repair", project, mend="`memctx doctor` says what is wrong")


@index.command("rebuild")
@_project
@click.pass_obj
def rebuild(run: Run, *, project: str | None) -> None:
    """Build the vectors anew beside the old ones, and switch when they are equal to SQL."""
    _care(run, "rebuild", project, mend="`memctx doctor` says what is wrong")


def _care(run: Run, action: str, project: str | None, *, mend: str) -> None:
    found = run.client.index_care(action, project)
    rows = [
        (
            one["project"],
            one["verdict"],
            one["expected"],
            one["held"],
            one["missing"],
            one["stale"],
            one["orphans"],
            one["unfound"],
        )
        for one in found["projects"]
    ]
    report = cast("JsonValue", found)
    if not found["ok"]:
        if not run.out.as_json:
            run.out.table(COLUMNS, rows)
        bad = next(one for one in found["projects"] if one["verdict"] != "ok")
        raise Failed(f"{bad['project']} is {bad['verdict']}; {mend}", report=report)
    run.out.note(f"{len(rows)} projects have in Chroma what SQL says")
    run.out.finish(report, count=len(rows), human=lambda: run.out.table(COLUMNS, rows))
