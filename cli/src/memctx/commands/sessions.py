"""``memctx sessions``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Group
from memctx.commands import options
from memctx.run import Run
from memctx.terminal import one_line
from memctx.times import short_date, short_time

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent import documents as doc
    from sync_agent.interface import MemoryClient

Field = str | float | bool | tuple[str, ...] | None

ROLES = ("user", "assistant", "tool")


@click.group(cls=Group)
def sessions() -> None:
    """List, show, add, edit and delete sessions: conversations with an agent."""


@sessions.command("list")
@click.option("--status", type=click.Choice(("active", "archived")), help="active or archived.")
@click.option("--tag", help="With this tag.")
@click.option("--agent", help="The agent, such as claude-code.")
@options.span_options
@options.limit_option(20)
@click.pass_obj
def list_(
    run: Run,
    *,
    status: str | None,
    tag: str | None,
    agent: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    everything: bool,
) -> None:
    """List sessions, newest first."""
    filters = {"project": run.one_project, "status": status, "tag": tag, "agent": agent}
    most = None if everything else limit
    found = run.ask(
        lambda client: list(client.sessions.list(limit=most, since=since, until=until, **filters))
    )
    rows = [
        (short_date(s["started_at"]), s["project"], s["title"], s["message_count"], s["id"])
        for s in found
    ]
    columns = ("date", "project", "title", "turns", "id")
    run.out.finish(cast("JsonValue", found), human=lambda: run.out.table(columns, rows))


@sessions.command("show")
@click.argument("session")
@click.option("--messages/--no-messages", default=True, help="Show what was said.")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="At most this many messages.")
@click.option("--as-of", type=click.IntRange(min=0), help="As of this position of the log.")
@click.pass_obj
def show(run: Run, session: str, messages: bool, limit: int | None, as_of: int | None) -> None:
    """Show a session and what was said in it."""

    def read(client: MemoryClient) -> tuple[doc.Session, list[doc.Message]]:
        one = client.sessions.get(session, as_of=as_of)
        return one, list(client.sessions.messages(one["id"], limit=limit)) if messages else []

    found, said = run.ask(read)
    if run.out.as_json:
        run.out.finish({**cast("dict[str, JsonValue]", found), "messages": cast("JsonValue", said)})
        return
    _print_session(run, found)
    for message in said:
        _print_message(run, message)


def _print_session(run: Run, session: doc.Session) -> None:
    run.out.fields(
        {
            "id": session["id"],
            "project": session["project"],
            "title": session["title"],
            "agent": session["agent"],
            "status": session["status"],
            "started": short_time(session["started_at"]),
            "ended": short_time(session["ended_at"]),
            "messages": session["message_count"],
            "tokens": session["token_count"],
            "tags": session["tags"],
            "parent": session["parent_session_id"],
            "files": session["files_changed"],
            "summary": session["summary"],
            "last_op": session["last_op"],
        }
    )


def _print_message(run: Run, message: doc.Message) -> None:
    who = message["author"] or message["tool_name"] or ""
    head = f"{message['position']} {message['role']} {who}".strip()
    run.out.line()
    run.out.line(run.out.style(one_line(f"{head} · {short_time(message['created_at'])}"), "cyan"))
    run.out.text(message["text"])


@sessions.command("add")
@click.option("--title", required=True, help="What it is called.")
@click.option("--description", default="", help="Text, @FILE, or - for standard input.")
@click.option("--summary", default="", help="What came of it.")
@click.option("--agent", default="", help="The agent, such as claude-code.")
@click.option("--tag", "tags", multiple=True, help="With this tag.")
@click.option(
    "--privacy",
    type=options.PRIVACY,
    default="TEAM",
    show_default=True,
    help="Who may see it; EPHEMERAL is looked at and not stored.",
)
@click.option(
    "--message",
    "messages",
    multiple=True,
    metavar="ROLE:TEXT",
    help="A turn such as 'user: why is it slow?'; repeat for more.",
)
@click.pass_obj
def add(
    run: Run,
    *,
    title: str,
    description: str,
    summary: str,
    agent: str,
    tags: tuple[str, ...],
    privacy: str,
    messages: tuple[str, ...],
) -> None:
    """Save a session by hand; prints its id."""
    body: dict[str, JsonValue] = {
        "title": title,
        "description": options.read_text(description),
        "summary": summary,
        "agent": agent,
        "tags": [*tags],
        "privacy_level": privacy,
        "messages": [*(_turn(text) for text in messages)],
    }
    saved = run.create(lambda client, to: client.sessions.create({"project": to, **body}))
    identity = saved.get("id")
    run.out.finish(
        cast("JsonValue", saved),
        human=lambda: run.out.line(identity) if identity else run.out.note("not stored"),
    )


def _turn(text: str) -> dict[str, JsonValue]:
    role, colon, said = text.partition(":")
    if not colon or role.strip() not in ROLES:
        raise click.UsageError("a --message is ROLE:TEXT with the role user, assistant or tool")
    return {"role": role.strip(), "text": said.strip()}


@sessions.command("append")
@click.argument("session")
@click.argument("messages", nargs=-1, required=True, metavar="ROLE:TEXT...")
@click.pass_obj
def append(run: Run, session: str, messages: tuple[str, ...]) -> None:
    """Append turns to a session, such as 'user: why is it slow?'."""
    turns = [_turn(text) for text in messages]
    done = run.change(lambda client: client.sessions.append(session, turns))
    run.out.note(f"{done['added']} added")
    run.out.finish(cast("JsonValue", done), count=done["added"])


@sessions.command("edit")
@click.argument("session")
@click.option("--title", help="What it is called.")
@click.option("--description", help="Text, @FILE, or - for standard input.")
@click.option("--summary", help="Text, @FILE, or - for standard input.")
@click.option("--status", type=click.Choice(("active", "archived")), help="active or archived.")
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
def edit(run: Run, /, session: str, if_match: str | None, **fields: Field) -> None:
    """Change the fields that are named."""
    wanted = changes(fields)
    changed = run.change(lambda client: client.sessions.update(session, wanted, if_match=if_match))
    report_change(run, "session", cast("dict[str, JsonValue]", changed))


@sessions.command("delete")
@click.argument("session")
@options.delete_options
@click.pass_obj
def delete(run: Run, session: str, erase: bool, yes: bool) -> None:
    """Delete a session with its messages, or erase what it held."""
    options.confirm_delete("session", session, erase=erase, yes=yes)
    run.change(lambda client: client.sessions.delete(session, erase=erase))
    options.deleted(run.out, "session", session, erase=erase)


def changes(fields: Mapping[str, Field]) -> dict[str, JsonValue]:
    """Returns the fields that were given, texts read from where they are.

    Raises:
        click.UsageError: none was.
    """
    given: dict[str, JsonValue] = {}
    for name, value in fields.items():
        if isinstance(value, str):
            given[name] = options.read_text(value)
        elif isinstance(value, tuple):
            given |= {name: [*value]} if value else {}
        elif value is not None:
            given[name] = value
    if not given:
        raise click.UsageError("nothing to change: name a field")
    return given


def report_change(run: Run, kind: str, changed: dict[str, JsonValue]) -> None:
    """Reports an edit, and the fields that kept the hub's value."""
    kept = changed.get("conflicts")
    if isinstance(kept, list) and kept:
        names = ", ".join(str(name) for name in kept)
        run.out.warn(f"changed meanwhile and kept as they are: {names} (`memctx conflicts`)")
    run.out.note(f"{kind} {changed['id']} is at version {changed['version']}")
    run.out.finish(changed)
