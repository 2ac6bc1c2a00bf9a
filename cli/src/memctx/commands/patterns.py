"""``memctx patterns``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.commands import options
from memctx.commands.sessions import Field, changes, report_change
from memctx.output import Cell
from memctx.run import Run
from memctx.times import short_time

if TYPE_CHECKING:
    from pydantic import JsonValue

TYPES = click.Choice(("workflow", "decision", "code", "error", "architecture", "configuration"))


@click.group(cls=Group)
def patterns() -> None:
    """List, show, add, edit and rate patterns: lessons worth keeping."""


@patterns.command("list")
@click.option("--type", "kind", type=TYPES, help="What kind of lesson it is.")
@click.option("--tag", help="With this tag.")
@click.option("--category", help="A heading of your own.")
@click.option("--deprecated/--current", default=None, help="Only those.")
@click.option("--match", "words", help="Only those that hold these words.")
@options.limit_option(20)
@click.pass_obj
def list_(
    run: Run,
    *,
    kind: str | None,
    tag: str | None,
    category: str | None,
    deprecated: bool | None,
    words: str | None,
    limit: int,
    everything: bool,
) -> None:
    """List patterns, newest first."""
    most, project = None if everything else limit, run.one_project
    found = run.ask(
        lambda client: list(
            client.patterns.list(
                limit=most,
                project=project,
                type=kind,
                tag=tag,
                category=category,
                deprecated=deprecated,
                q=words,
            )
        )
    )
    rows = [
        (p["project"], p["pattern_type"], p["name"], float(p["quality_score"]), p["id"])
        for p in found
    ]
    columns = ("project", "type", "name", "quality", "id")
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.table(columns, rows))


@patterns.command("show")
@click.argument("pattern")
@click.pass_obj
def show(run: Run, pattern: str) -> None:
    """Show a pattern."""
    found = run.ask(lambda client: client.patterns.get(pattern))
    fields: dict[str, Cell | list[str]] = {
        "id": found["id"],
        "project": found["project"],
        "type": found["pattern_type"],
        "name": found["name"],
        "category": found["category"],
        "tags": found["tags"],
        "quality": found["quality_score"],
        "confidence": found["confidence"],
        "worked": f"{found['successes']} of {found['successes'] + found['failures']} times",
        "deprecated": "yes" if found["deprecated"] else "",
        "saved": short_time(found["created_at"]),
        "cites": [f"{c['path']} {c.get('symbol') or ''}".strip() for c in found["citations"]],
        "description": found["description"],
        "body": found["body"],
        "example": found["example"],
        "last_op": found["last_op"],
    }
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.fields(fields))


@patterns.command("add")
@click.argument("name")
@click.option("--type", "kind", type=TYPES, required=True, help="What kind of lesson it is.")
@click.option("--description", default="", help="Text, @FILE, or - for standard input.")
@click.option("--body", default="", help="Text, @FILE, or - for standard input.")
@click.option("--example", default="", help="Text, @FILE, or - for standard input.")
@click.option("--category", default="", help="A heading of your own.")
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="How sure it is, 0 to 1.",
)
@click.option("--tag", "tags", multiple=True, help="With this tag.")
@click.option("--cite", "cites", multiple=True, metavar="PATH[#SYMBOL]", help="Where it is seen.")
@click.option("--session", help="The session it was learned in.")
@click.option("--parent", help="The pattern it refines.")
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
    name: str,
    kind: str,
    description: str,
    body: str,
    example: str,
    category: str,
    confidence: float,
    tags: tuple[str, ...],
    cites: tuple[str, ...],
    session: str | None,
    parent: str | None,
    privacy: str,
) -> None:
    """Save a lesson; prints its id."""
    content: dict[str, JsonValue] = {
        "pattern_type": kind,
        "name": name,
        "description": options.read_text(description),
        "body": options.read_text(body),
        "example": options.read_text(example),
        "category": category,
        "confidence": confidence,
        "tags": [*tags],
        "citations": [*(_citation(text) for text in cites)],
        "source_session_id": session,
        "parent_pattern_id": parent,
        "privacy_level": privacy,
    }
    saved = run.create(lambda client, to: client.patterns.create({"project": to, **content}))
    identity = saved.get("id")
    run.out.finish(
        cast("JsonValue", saved),
        human=lambda: run.out.line(identity) if identity else run.out.note("not stored"),
    )


def _citation(text: str) -> dict[str, JsonValue]:
    path, _, symbol = text.partition("#")
    return {"path": path, "symbol": symbol or None}


@patterns.command("edit")
@click.argument("pattern")
@click.option("--name", help="What it is called.")
@click.option("--type", "pattern_type", type=TYPES, help="What kind of lesson it is.")
@click.option("--description", help="Text, @FILE, or - for standard input.")
@click.option("--body", help="Text, @FILE, or - for standard input.")
@click.option("--example", help="Text, @FILE, or - for standard input.")
@click.option("--category", help="A heading of your own.")
@click.option("--confidence", type=click.FloatRange(0, 1), help="How sure it is, 0 to 1.")
@click.option(
    "--deprecated/--current", default=None, help="Mark as no longer good, or as good again."
)
@click.option(
    "--privacy",
    "privacy_level",
    type=options.STORED_PRIVACY,
    help="Who may see it; EPHEMERAL is looked at and not stored.",
)
@click.option("--add-tag", "tags_add", multiple=True, help="Add a tag.")
@click.option("--remove-tag", "tags_remove", multiple=True, help="Take a tag off.")
@options.base_option
@click.pass_obj
def edit(run: Run, /, pattern: str, if_match: str | None, **fields: Field) -> None:
    """Change the fields that are named."""
    wanted = changes(fields)
    changed = run.change(lambda client: client.patterns.update(pattern, wanted, if_match=if_match))
    report_change(run, "pattern", cast("dict[str, JsonValue]", changed))


@patterns.command("delete")
@click.argument("pattern")
@options.delete_options
@click.pass_obj
def delete(run: Run, pattern: str, erase: bool, yes: bool) -> None:
    """Delete a pattern, or erase what it held."""
    options.confirm_delete("pattern", pattern, erase=erase, yes=yes)
    run.change(lambda client: client.patterns.delete(pattern, erase=erase))
    options.deleted(run.out, "pattern", pattern, erase=erase)


@patterns.command("outcome")
@click.argument("pattern")
@click.argument("result", type=click.Choice(("worked", "failed")))
@click.pass_obj
def outcome(run: Run, pattern: str, result: str) -> None:
    """Say whether a pattern worked when it was used."""
    worked = result == "worked"
    rated = run.change(lambda client: client.patterns.outcome(pattern, success=worked))
    run.out.note(f"quality is now {rated['quality_score']:.2f}")
    run.out.finish(cast("JsonValue", rated))
