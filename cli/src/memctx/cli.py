"""The command line: commands are loaded when they are called, not before.

`memctx` is started by hooks and scripts all the time, so a command must not pay for the
imports of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import click

from memctx.run import Run


class Entry(NamedTuple):
    """Where a command is, and what the list of commands says about it."""

    target: str
    help: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Remember and recall": {
        "import": Entry("importing:import_", "Import agents' transcripts, or an export."),
        "search": Entry("search:search", "Search everything that is remembered."),
        "context": Entry("context:context", "Pack what is worth knowing into a token budget."),
    },
    "Records": {
        "sessions": Entry("sessions:sessions", "List, show, add, edit and delete sessions."),
        "checkpoints": Entry("checkpoints:checkpoints", "List, show, add and delete checkpoints."),
        "patterns": Entry("patterns:patterns", "List, show, add, edit and rate patterns."),
        "projects": Entry("projects:projects", "List, show, add and rename projects."),
        "tags": Entry("listing:tags", "List the tags in use."),
        "conflicts": Entry("conflicts:conflicts", "List and resolve fields with two values."),
    },
    "This repository": {
        "init": Entry("init:init", "Make a memory for this repository that needs no hub."),
        "sync": Entry("sync:sync", "Push what was written here and pull what is new."),
        "agent": Entry("agent:agent", "Keep replicas in step with their hubs, by itself."),
        "rejected": Entry("rejected:rejected", "List and mend what the hub refused."),
        "remote": Entry("remote:remote", "Name the hub that this repository's memory goes to."),
    },
    "Hub": {
        "serve": Entry("serve:serve", "Start the hub on this machine."),
        "status": Entry("serve:status", "Show how the replica here, or else the hub, is doing."),
        "stop": Entry("serve:stop", "Stop the hub that runs in the background."),
        "keys": Entry("keys:keys", "List, create, replace and revoke API keys."),
        "tenants": Entry("tenants:tenants", "List and add teams that share this hub."),
        "audit": Entry("audit:audit", "Show and check who did what to keys, tenants and the hub."),
        "model": Entry("model:model", "Install and check the embedding model."),
        "export": Entry("transfer:export", "Write everything as JSON lines."),
        "backup": Entry("backup:backup", "Write everything into one file, or check such a file."),
        "restore": Entry("backup:restore", "Take a backup in."),
        "erasures": Entry("erasures:erasures", "Keep a list of what was erased, for restoring."),
        "log": Entry("maintenance:log", "Check the log against its digests."),
        "worker": Entry("worker:worker", "Index what is written, beside an API."),
        "migrate": Entry("migrate:migrate", "Bring the database to this version's schema."),
        "index": Entry("index:index", "Check, mend and rebuild the vectors in Chroma."),
        "rebuild": Entry("maintenance:rebuild", "Make every view anew from the log."),
    },
    "This program": {
        "doctor": Entry("doctor:doctor", "Check the installation and say what mends it."),
        "config": Entry("config:config", "Show the settings and where they come from."),
        "completion": Entry("program:completion", "Print the completion script of a shell."),
        "version": Entry("program:version", "Show the version."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


def _option(*names: str, set_value: Callable[[Run, Any], None], **attributes: Any) -> click.Option:
    """Makes an option that every command takes, before or after its name."""

    def remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        run = context.find_object(Run)
        if run is not None and value not in (None, False, ()):
            set_value(run, value)

    return click.Option(names, expose_value=False, callback=remember, **attributes)


def _set(where: str, name: str) -> Callable[[Run, Any], None]:
    def set_value(run: Run, value: Any) -> None:
        setattr(getattr(run, where), name, value)

    return set_value


def _add_projects(run: Run, value: tuple[str, ...]) -> None:
    run.options.projects += value


GLOBAL_OPTIONS = (
    _option(
        "--json",
        "as_json",
        is_flag=True,
        set_value=_set("out", "as_json"),
        help="Print one JSON object instead of text.",
    ),
    _option(
        "--project",
        "named_projects",
        metavar="SLUG",
        multiple=True,
        set_value=_add_projects,
        help="The project: slug, id, or . for that of this folder.",
    ),
    _option(
        "--url",
        "hub_url",
        metavar="URL",
        set_value=_set("options", "url"),
        help="The hub's address (MEMCTX_URL).",
    ),
    _option(
        "--hub",
        is_flag=True,
        set_value=_set("options", "hub"),
        help="Ask the hub, also where this repository has a replica.",
    ),
    _option(
        "--allow-http",
        is_flag=True,
        set_value=_set("options", "allow_http"),
        help="Allow plain http to another machine.",
    ),
    _option(
        "-q",
        "--quiet",
        is_flag=True,
        set_value=_set("out", "quiet"),
        help="Say nothing but data, warnings and errors.",
    ),
    _option(
        "--no-color",
        is_flag=True,
        set_value=_set("out", "no_color"),
        help="Use no colour (NO_COLOR).",
    ),
)


class Command(click.Command):
    """A command that also takes the options of all commands."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Returns its own parameters, then those of all commands."""
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def invoke(self, ctx: click.Context) -> Any:
        """Runs it, and tells the output its name."""
        run = ctx.find_object(Run)
        if run is not None:
            run.out.command = ctx.command_path.partition(" ")[2]
        return super().invoke(ctx)


class Group(click.Group):
    """A group of commands that also takes the options of all commands."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names in the order in which they are written."""
        return list(self.commands)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Returns its own parameters, then those of all commands."""
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds a command; a misspelt one is answered with the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches  # noqa: PLC0415 - only when misspelt

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if near:
                raise click.UsageError(f"{error.message} Did you mean {near[0]}?", ctx) from None
            raise


class Root(Group):
    """The first level, whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.target.partition(":")
        command = getattr(import_module(f"memctx.commands.{module}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.target} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands by section, without importing them."""
        width = max(map(len, COMMANDS))
        for section, entries in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), e.help) for name, e in entries.items()])


def _show_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    """Prints the version and ends, as everyone expects of ``--version``."""
    if asked:
        from memctx.commands.program import own_version  # noqa: PLC0415 - only when asked for

        click.echo(own_version())
        context.exit()


@click.command(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="The hub and its key are found from MEMCTX_URL and MEMCTX_API_KEY, a .env file, or the"
    " user's configuration (`memctx config show`).",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
def cli() -> None:
    """The memory of your coding agents: what they did, decided and learned.

    Import the sessions on this machine with `memctx import`, then ask with
    `memctx search "why did we change the parser?"`.
    """
