"""``memctx checkpoints``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.commands import options
from memctx.git import working_state
from memctx.output import Cell
from memctx.run import Run
from memctx.times import short_date, short_time

if TYPE_CHECKING:
    from pydantic import JsonValue


@click.group(cls=Group)
def checkpoints() -> None:
    """List, show, add and delete checkpoints: saved states of work. They never change."""


@checkpoints.command("list")
@click.option("--session", help="Only those of this session.")
@options.span_options
@options.limit_option(20)
@click.pass_obj
def list_(
    run: Run,
    *,
    session: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    everything: bool,
) -> None:
    """List checkpoints, newest first."""
    most, project = None if everything else limit, run.one_project
    found = run.ask(
        lambda client: list(
            client.checkpoints.list(
                limit=most, project=project, session_id=session, since=since, until=until
            )
        )
    )
    rows = [
        (
            short_date(c["created_at"]),
            c["project"],
            c["git_branch"],
            c["description"].partition("\n")[0][:120],
            c["id"],
        )
        for c in found
    ]
    columns = ("date", "project", "branch", "description", "id")
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.table(columns, rows))


@checkpoints.command("show")
@click.argument("checkpoint")
@click.pass_obj
def show(run: Run, checkpoint: str) -> None:
    """Show a checkpoint."""
    found = run.ask(lambda client: client.checkpoints.get(checkpoint))
    fields: dict[str, Cell | list[str]] = {
        "id": found["id"],
        "project": found["project"],
        "session": found["session_id"],
        "saved": short_time(found["created_at"]),
        "branch": found["git_branch"],
        "commit": found["git_commit"],
        "status": found["git_status"],
        "files": found["files_changed"],
        "done": found["tasks_completed"],
        "description": found["description"],
        "next steps": found["next_steps"],
    }
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.fields(fields))


@checkpoints.command("add")
@click.argument("description")
@click.option("--next", "next_steps", default="", help="What comes next: text, @FILE or -.")
@click.option("--session", help="The session it belongs to.")
@click.option("--file", "files", multiple=True, help="A file that was changed.")
@click.option("--done", "done", multiple=True, help="A task that was completed.")
@click.option("--git/--no-git", default=True, help="Record commit, branch and changed files.")
@click.option(
    "--privacy",
    type=options.PRIVACY,
    default="TEAM",
    show_default=True,
    help="Who may see it; EPHEMERAL is looked at and not stored.",
)
@click.pass_obj
def add(
    run: Run,
    *,
    description: str,
    next_steps: str,
    session: str | None,
    files: tuple[str, ...],
    done: tuple[str, ...],
    git: bool,
    privacy: str,
) -> None:
    """Save the state of work in this folder; prints the checkpoint's id.

    DESCRIPTION is text, @FILE, or - for standard input.
    """
    state = working_state() if git else None
    body: dict[str, JsonValue] = {
        "description": options.read_text(description),
        "next_steps": options.read_text(next_steps),
        "session_id": session,
        "files_changed": [*(files or (state.files if state else ()))],
        "tasks_completed": [*done],
        "privacy_level": privacy,
    }
    if state is not None:
        body |= {"git_commit": state.commit, "git_branch": state.branch, "git_status": state.status}
    saved = run.create(lambda client, to: client.checkpoints.create({"project": to, **body}))
    identity = saved.get("id")
    run.out.finish(
        cast("JsonValue", saved),
        human=lambda: run.out.line(identity) if identity else run.out.note("not stored"),
    )


@checkpoints.command("delete")
@click.argument("checkpoint")
@options.delete_options
@click.pass_obj
def delete(run: Run, checkpoint: str, erase: bool, yes: bool) -> None:
    """Delete a checkpoint, or erase what it held."""
    options.confirm_delete("checkpoint", checkpoint, erase=erase, yes=yes)
    run.change(lambda client: client.checkpoints.delete(checkpoint, erase=erase))
    options.deleted(run.out, "checkpoint", checkpoint, erase=erase)
