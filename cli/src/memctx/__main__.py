"""Starts the command line and turns every error into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from memctx.cli import cli
from memctx.errors import (
    FAILURE,
    USAGE,
    Failed,
    Stopped,
    Usage,
    advice,
    exit_code,
)
from memctx.run import Run
from memory_core.errors import ContextError
from sync_agent.errors import LocalFailure


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 failed, 2 asked wrongly."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    run = Run()
    try:
        result = cli.main(given, prog_name="memctx", standalone_mode=False, obj=run)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        return USAGE
    except click.ClickException as error:
        return _usage(run, error, given)
    except BrokenPipeError:
        # Whoever read our output has had enough; there is nobody left to tell.
        _discard_stdout()
        return FAILURE
    except (click.Abort, ContextError, OSError) as error:
        return _fail(run, _as_ours(error))
    finally:
        with suppress(ContextError, OSError):
            run.close()
    return result if isinstance(result, int) else 0


def _as_ours(error: Exception) -> ContextError:
    if isinstance(error, ContextError):
        return error
    if isinstance(error, click.Abort):
        interrupted = isinstance(error.__cause__, KeyboardInterrupt)
        return Stopped("stopped") if interrupted else Failed("not confirmed")
    return LocalFailure(str(error))


def _fail(run: Run, error: ContextError) -> int:
    try:
        step = advice(error, run)
    except ContextError:
        step = ""
    run.out.fail(error, step)
    return exit_code(error)


def _usage(run: Run, error: click.ClickException, arguments: Sequence[str]) -> int:
    own = list(arguments)
    if "--json" in (own[: own.index("--")] if "--" in own else own):
        run.out.as_json = True
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        run.out.command = context.command_path.partition(" ")[2]
    command = f"memctx {run.out.command}".strip()
    run.out.fail(Usage(error.format_message()), f"`{command} --help` shows how")
    return USAGE


def _discard_stdout() -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
