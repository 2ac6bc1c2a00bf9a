"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from memctx.output import Output
from memctx.times import time_option
from sync_agent.errors import LocalFailure

F = TypeVar("F", bound=Callable[..., Any])

PRIVACY = click.Choice(("PUBLIC", "TEAM", "PRIVATE", "EPHEMERAL"))
STORED_PRIVACY = click.Choice(("PUBLIC", "TEAM", "PRIVATE"))
MAX_INPUT_BYTES = 16 * 1024 * 1024


def limit_option(default: int) -> Callable[[F], F]:
    """Adds ``--limit`` and ``--all`` to a list command."""

    def add(function: F) -> F:
        number = click.option(
            "-n",
            "--limit",
            type=click.IntRange(min=1),
            default=default,
            show_default=True,
            help="At most this many.",
        )
        everything = click.option("--all", "everything", is_flag=True, help="Without a limit.")
        return number(everything(function))

    return add


def span_options(function: F) -> F:
    """Adds ``--since`` and ``--until``."""
    since = click.option(
        "--since", type=time_option, metavar="TIME", help="Not before: a day, a time, or 7d, 12h."
    )
    until = click.option("--until", type=time_option, metavar="TIME", help="Not after.")
    return since(until(function))


def base_option(function: F) -> F:
    """Adds ``--if-match``, which keeps an edit from going over somebody else's."""
    return click.option(
        "--if-match", metavar="LAST_OP", help="Only if this is still its last operation."
    )(function)


def delete_options(function: F) -> F:
    """Adds ``--erase`` and ``--yes``."""
    erase = click.option(
        "--erase", is_flag=True, help="Also remove what it held from the log and every copy."
    )
    yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
    return erase(yes(function))


def confirm(question: str, *, yes: bool) -> None:
    """Asks on standard error unless ``yes``.

    Raises:
        click.UsageError: there is nobody to ask.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to confirm this: add --yes")
    click.confirm(question, abort=True, err=True)


def confirm_delete(kind: str, identity: str, *, erase: bool, yes: bool) -> None:
    """Asks before a record is deleted or erased."""
    what = "Erase, with all it held and for good," if erase else "Delete"
    confirm(f"{what} the {kind} {identity}?", yes=yes)


def deleted(out: Output, kind: str, identity: str, *, erase: bool) -> None:
    """Reports a deletion."""
    word = "erased" if erase else "deleted"
    out.note(f"{kind} {identity} {word}")
    out.finish({"id": identity, "result": word})


def read_text(value: str | None) -> str | None:
    """Returns an option's text; ``@FILE`` reads a file, ``-`` standard input.

    Raises:
        LocalFailure: it cannot be read, is not UTF-8 or larger than 16 MiB.
    """
    if value is None or not (value == "-" or value.startswith("@")):
        return value
    try:
        if value == "-":
            content = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        else:
            with Path(value[1:]).open("rb") as file:
                content = file.read(MAX_INPUT_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise LocalFailure(f"{value}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise LocalFailure(f"{value}: not UTF-8") from error
    if len(content) > MAX_INPUT_BYTES:
        raise LocalFailure(f"{value}: larger than {MAX_INPUT_BYTES} bytes")
    return text
