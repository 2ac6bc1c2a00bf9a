"""``memctx export``, and the import of what it wrote."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from memctx.cli import Command
from memctx.errors import LocalFailure
from memctx.run import Run

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent.client import HubClient

PIECE_BYTES = 256 * 1024
HEAD_BYTES = 4096
MARK = b'"memory_context_export"'
STDIO = Path("-")


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False))
@click.option("-f", "--force", is_flag=True, help="Write over a file that exists.")
@click.pass_obj
def export(run: Run, *, file: Path, force: bool) -> None:
    """Write everything the hub holds as JSON lines; `memctx import` takes it back.

    FILE is - for standard output. API keys are not part of it.
    """
    with run.hub_or_embedded() as client:
        if file == STDIO:
            if run.out.as_json:
                raise click.UsageError("--json needs a FILE: standard output holds the export")
            size = _write(client, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            size = _write_file(client, file, force=force)
    run.out.note(f"{size} bytes written to {file}")
    if file != STDIO:
        run.out.finish({"file": str(file), "bytes": size})


def _write(client: HubClient, target: BinaryIO) -> int:
    size = 0
    with client.export() as pieces:
        for piece in pieces:
            size += target.write(piece)
    return size


def _write_file(client: HubClient, file: Path, *, force: bool) -> int:
    """Writes to a temporary file first: FILE is complete or not there."""
    if file.exists() and not force:
        raise click.UsageError(f"{file} exists; --force writes over it")
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb", opener=_private) as target:
            size = _write(client, target)
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(file)
    except OSError as error:
        raise LocalFailure(f"{file}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return size


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def is_export(path: Path) -> bool:
    """Says whether a file begins like an export; standard input is one or nothing."""
    if path == STDIO:
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return MARK in file.read(HEAD_BYTES).partition(b"\n")[0]
    except OSError:
        return False


def restore(run: Run, files: Iterable[Path], *, dry_run: bool) -> None:
    """Sends exports to the hub and reports what was new."""
    if dry_run:
        raise click.UsageError("--dry-run is for transcripts; an export is taken in without it")
    total: dict[str, JsonValue] = {"projects": 0, "events": 0, "skipped": 0}
    with run.hub_or_embedded() as client:
        for file in files:
            done = cast("dict[str, int]", client.restore(_pieces(file)))
            for name in total:
                total[name] = cast("int", total[name]) + done[name]
    run.out.note(
        f"{total['events']} events of {total['projects']} projects taken in,"
        f" {total['skipped']} were there"
    )
    run.out.finish(total, count=cast("int", total["events"]))


def _pieces(file: Path) -> Iterator[bytes]:
    if file == STDIO:
        while piece := sys.stdin.buffer.read1(PIECE_BYTES):
            yield piece
        return
    with file.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            yield piece
