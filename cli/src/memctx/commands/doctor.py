"""``memctx doctor``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from memctx.checks import all_checks
from memctx.cli import Command
from memctx.errors import Failed
from memctx.findings import Check, State
from memctx.run import Run
from memctx.terminal import one_line

if TYPE_CHECKING:
    from pydantic import JsonValue

COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}


@click.command(cls=Command)
@click.pass_obj
def doctor(run: Run) -> None:
    """Check the installation and say what mends it; exits with 1 if something fails."""
    found: list[Check] = []
    for check in all_checks(run):
        found.append(check)
        if not run.out.as_json:
            _print(run, check)
    checks: list[JsonValue] = [{**asdict(check), "state": check.state.value} for check in found]
    failed = [check for check in found if check.state is State.FAIL]
    if failed:
        names = ", ".join(dict.fromkeys(check.name for check in failed))
        raise Failed(f"{len(failed)} of {len(found)} checks failed: {names}", checks=checks)
    run.out.finish({"checks": checks}, count=len(checks))


def _print(run: Run, check: Check) -> None:
    state = run.out.style(f"{check.state.value:<4}", COLOURS[check.state], "bold")
    run.out.line(f"{state}  {check.name:<13}  {one_line(check.detail)}")
    if check.mend:
        run.out.line(f"{' ' * 21}{run.out.style('mend:', 'dim')} {one_line(check.mend)}")
