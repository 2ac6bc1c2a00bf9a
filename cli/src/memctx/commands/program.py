"""``memctx version`` and ``memctx completion``."""

from __future__ import annotations

import click

from memctx.cli import Command
from memctx.run import Run


@click.command(cls=Command)
@click.pass_obj
def version(run: Run) -> None:
    """Show the version."""
    number = own_version()
    run.out.finish({"version": number}, human=lambda: run.out.line(number))


def own_version() -> str:
    """Returns the version of the installed distribution."""
    from importlib.metadata import version as installed  # noqa: PLC0415 - reads the disk

    return installed("memory-context")


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_obj
def completion(run: Run, shell: str) -> None:
    """Print the completion script of a shell.

    In bash: eval "$(memctx completion bash)", best in ~/.bashrc.
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - rare

    from memctx.cli import cli  # noqa: PLC0415 - the commands import this module

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    script = found(cli, {}, "memctx", "_MEMCTX_COMPLETE").source()
    run.out.finish({"shell": shell, "script": script}, human=lambda: run.out.line(script))
