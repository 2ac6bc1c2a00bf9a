"""``memctx projects``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.commands import options
from memctx.commands.sessions import report_change
from memctx.output import Cell
from memctx.run import Run
from memctx.times import short_date, short_time

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent import documents as doc


@click.group(cls=Group)
def projects() -> None:
    """List, show, add and rename projects: repositories and submodules."""


@projects.command("list")
@click.option("--remote", help="Only that with this git remote.")
@options.limit_option(100)
@click.pass_obj
def list_(run: Run, remote: str | None, limit: int, everything: bool) -> None:
    """List projects, newest first."""
    most = None if everything else limit
    found = run.ask(lambda client: list(client.projects.list(remote=remote, limit=most)))
    rows = [
        (short_date(p["created_at"]), p["slug"], identity(p), p["head"], _lag(p)) for p in found
    ]
    columns = ("date", "slug", "known by", "events", "to index")
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.table(columns, rows))


def identity(project: doc.Project) -> str:
    """Returns what a project is recognised by; a path is marked as weak."""
    kind = project["identity"]
    return "path (weak)" if kind == "path" else kind


def _lag(project: doc.Project) -> int:
    return project["head"] - project["indexed_seq"]


@projects.command("show")
@click.argument("project", default=".")
@click.pass_obj
def show(run: Run, project: str) -> None:
    """Show a project: slug, id, or . for that of this folder."""
    found = run.known_here() if project == "." else run.project_document(project)
    fields: dict[str, Cell | list[str]] = {
        "id": found["id"],
        "slug": found["slug"],
        "known by": identity(found),
        "remotes": found["remotes"],
        "parent": found["parent_id"],
        "events": found["head"],
        "to index": _lag(found),
        "made": short_time(found["created_at"]),
        "last_op": found["last_op"],
    }
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.fields(fields))


@projects.command("add")
@click.argument("slug", required=False)
@click.option("--remote", "remotes", multiple=True, help="A git remote of it.")
@click.option("--parent", help="The project it is a part of: slug or id.")
@click.pass_obj
def add(run: Run, slug: str | None, remotes: tuple[str, ...], parent: str | None) -> None:
    """Make a project, or find the one with this slug or remote; prints its slug.

    Without SLUG it is the project of this folder.
    """
    if slug is None:
        from memctx.importing.projects import ensure_project  # noqa: PLC0415

        identity = run.here()
        saved = run.ask(lambda client: ensure_project(client, identity))
    else:
        body: dict[str, JsonValue] = {"slug": slug, "remotes": [*remotes]}
        if parent:
            body["parent"] = run.project_document(parent)["id"]
        saved = run.ask(lambda client: client.projects.ensure(body))
    run.out.finish(cast("JsonValue", saved), human=lambda: run.out.text(saved["slug"]))


@projects.command("edit")
@click.argument("project")
@click.option("--slug", help="Its new name.")
@click.option("--parent", help="The project it is a part of: slug or id.")
@click.option("--add-remote", multiple=True, help="A git remote that it has as well.")
@click.option("--remove-remote", multiple=True, help="A git remote that it no longer has.")
@click.pass_obj
def edit(
    run: Run,
    *,
    project: str,
    slug: str | None,
    parent: str | None,
    add_remote: tuple[str, ...],
    remove_remote: tuple[str, ...],
) -> None:
    """Change a project's name, parent or remotes."""
    wanted: dict[str, JsonValue] = {}
    if slug is not None:
        wanted["slug"] = slug
    if parent is not None:
        wanted["parent"] = run.project_document(parent)["id"]
    if add_remote:
        wanted["remotes_add"] = [*add_remote]
    if remove_remote:
        wanted["remotes_remove"] = [*remove_remote]
    if not wanted:
        raise click.UsageError("nothing to change: name a field")
    _update(run, project, wanted)


@projects.command("rename")
@click.argument("project")
@click.argument("slug")
@click.pass_obj
def rename(run: Run, project: str, slug: str) -> None:
    """Give a project another slug."""
    _update(run, project, {"slug": slug})


def _update(run: Run, project: str, wanted: dict[str, JsonValue]) -> None:
    found = run.known_here() if project == "." else run.project_document(project)
    changed = run.ask(lambda client: client.projects.update(found["id"], wanted))
    report_change(run, "project", cast("dict[str, JsonValue]", changed))
