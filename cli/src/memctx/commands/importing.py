"""``memctx import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from memctx.cli import Command
from memctx.commands import options
from memctx.errors import Failed
from memctx.importing.summary import print_summary
from memctx.run import Run
from memctx.times import time_option
from memory_core.errors import ContextError, InvalidInput, NotFound

if TYPE_CHECKING:
    from memctx.importing.pipeline import How
    from memctx.importing.report import Report
    from memctx.importing.seen import Prove, SeenFiles
    from memctx.importing.targets import ProjectRef, Target
    from memctx.progress import Silent
    from memory_core.transcripts import Discovery

AGENTS = {"auto": "auto", "claude": "claude-code", "codex": "codex"}
PATIENCE_SECONDS = 60.0


@click.command("import", cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True, allow_dash=True))
@click.option(
    "--agent",
    type=click.Choice(tuple(AGENTS)),
    default="auto",
    show_default=True,
    help="Whose transcripts to read.",
)
@click.option(
    "--since", type=time_option, metavar="TIME", help="Only files written since: a day, or 7d."
)
@click.option("--dry-run", is_flag=True, help="Read and count, send nothing.")
@click.option("--force", is_flag=True, help="Read files again that have not changed.")
@click.option("--no-thinking", is_flag=True, help="Leave out what the agents thought.")
@click.option(
    "--privacy",
    type=options.STORED_PRIVACY,
    default="TEAM",
    show_default=True,
    help="Who may see it: everyone, the team, or only you.",
)
@click.pass_obj
def import_(
    run: Run,
    *,
    paths: tuple[Path, ...],
    agent: str,
    since: str | None,
    dry_run: bool,
    force: bool,
    no_thinking: bool,
    privacy: str,
) -> None:
    """Import transcripts of Claude Code and Codex, or what `memctx export` wrote.

    Without PATH the folders are searched where both keep their sessions. Secrets are taken out
    before anything is sent. Running it again adds only what is new.
    """
    from memctx.commands.transfer import is_export, restore  # noqa: PLC0415 - one needs the other

    exports = [path for path in paths if is_export(path)]
    if exports:
        if len(exports) < len(paths):
            raise click.UsageError("import exports and transcripts one after the other")
        restore(run, exports, dry_run=dry_run)
        return
    from memctx.importing.pipeline import How  # noqa: PLC0415 - loads the transcript readers

    how = How(privacy=privacy, thinking=not no_thinking)
    found = _discover(run, paths, AGENTS[agent], since)
    _report(run, _import(run, found, how, dry_run=dry_run, force=force))


def _discover(run: Run, paths: tuple[Path, ...], agent: str, since: str | None) -> Discovery:
    from memory_core.transcripts import find_transcripts  # noqa: PLC0415
    from sync_agent.config import agent_folders  # noqa: PLC0415

    found = find_transcripts(
        paths,
        agent="claude-code" if agent == "claude-code" else "codex" if agent == "codex" else "auto",
        since=since,
        environ=agent_folders(),
    )
    if not found.transcripts:
        where = "there" if paths else "where Claude Code and Codex keep their sessions"
        run.out.note(f"no transcripts {where}")
    return found


def _import(run: Run, found: Discovery, how: How, *, dry_run: bool, force: bool) -> Report:
    from memctx.importing.pipeline import Importer  # noqa: PLC0415
    from memctx.importing.report import Report  # noqa: PLC0415
    from memctx.importing.targets import DryTarget  # noqa: PLC0415

    report = Report(dry_run=dry_run)
    for left_out in found.skipped:
        report.skip(str(left_out.path), left_out.reason, named=left_out.named)
    with _listener(run, sum(each.size for each in found.transcripts)) as listener:
        if dry_run:
            counter = DryTarget(run.one_project)
            Importer(counter, report, listener, how=how).run(found.transcripts)
        elif found.transcripts:
            named = _named(run)
            target, prove = _target(run, named)
            seen = _seen(prove, how, named, force=force)
            Importer(target, report, listener, how=how, seen=seen).run(found.transcripts)
            seen.save()
            run.wrote()
    return report


def _target(run: Run, named: ProjectRef | None) -> tuple[Target, Prove]:
    """Returns where the import goes, and what proves that it is there: replica, else hub."""
    from memctx.importing.seen import proved_by_hub, proved_by_replica  # noqa: PLC0415
    from memctx.importing.targets import HubTarget, ReplicaTarget  # noqa: PLC0415

    if run.local is not None:
        return ReplicaTarget(run.local, named), proved_by_replica(run.local.replica)
    client = run.patient_client(PATIENCE_SECONDS)
    return HubTarget(client, named), proved_by_hub(client)


def _named(run: Run) -> ProjectRef | None:
    from memctx.importing.targets import ProjectRef  # noqa: PLC0415

    name = run.one_project
    if name is None:
        return None
    try:
        project = run.project_document(name)
    except NotFound:
        if run.local is not None:
            raise
        project = run.client.projects.ensure({"slug": name})
    return ProjectRef(project["id"], project["slug"], project["identity"])


def _seen(prove: Prove, how: How, named: ProjectRef | None, *, force: bool) -> SeenFiles:
    from memctx.commands.program import own_version  # noqa: PLC0415
    from memctx.importing.seen import SeenFiles  # noqa: PLC0415
    from sync_agent.config import user_state_directory  # noqa: PLC0415

    into = named.key if named else ""
    key = f"{own_version()} {how.privacy} {how.thinking} {into}"
    path = user_state_directory() / "imported.json"
    return SeenFiles(path, prove, key, force=force)


def _listener(run: Run, total: int) -> Silent:
    from memctx.progress import Bar, Silent  # noqa: PLC0415

    return Bar(total) if run.out.shows_progress and total else Silent()


def _report(run: Run, report: Report) -> None:
    """Writes the summary.

    Raises:
        InvalidInput: a file that was named could not be imported.
        Failed: the hub did not take some records.
    """
    named = [each for each in report.skipped if each["named"]]
    error: ContextError | None = None
    if named:
        first = named[0]
        more = f" (and {len(named) - 1} more)" if len(named) > 1 else ""
        error = InvalidInput(f"{first['path']}: {first['reason']}{more}", report=report.as_json())
    elif report.problems:
        first = report.problems[0]
        error = Failed(
            f"{len(report.problems)} records were not taken; the first: {first['record']}"
            f" {first['id']}: {first['reason']}",
            report=report.as_json(),
        )
    if error is None:
        run.out.finish(
            report.as_json(), count=report.added, human=lambda: print_summary(run.out, report)
        )
        return
    if not run.out.as_json:
        print_summary(run.out, report)
    raise error
