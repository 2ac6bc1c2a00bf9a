"""``memctx export``, and the import of what it wrote."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from memctx.cli import Command
from memctx.run import Run
from sync_agent.files import complete_file

if TYPE_CHECKING:
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
    if file == STDIO and run.out.as_json:
        raise click.UsageError("--json needs a FILE: standard output holds the export")
    if file != STDIO and file.exists() and not force:
        raise click.UsageError(f"{file} exists; --force writes over it")
    with run.hub_or_embedded() as client:
        if file == STDIO:
            size = _write(client, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            size = _write_file(client, file)
    run.out.note(f"{size} bytes written to {file}")
    if file != STDIO:
        run.out.finish({"file": str(file), "bytes": size})


def _write(client: HubClient, target: BinaryIO) -> int:
    size = 0
    with client.export() as pieces:
        for piece in pieces:
            size += target.write(piece)
    return size


def _write_file(client: HubClient, file: Path) -> int:
    with complete_file(file) as target:
        return _write(client, target)


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
    projects = events = skipped = 0
    with run.hub_or_embedded() as client:
        for file in files:
            done = client.restore(_pieces(file))
            projects += done["projects"]
            events += done["events"]
            skipped += done["skipped"]
    run.out.note(f"{events} events of {projects} projects taken in, {skipped} were there")
    run.out.finish({"projects": projects, "events": events, "skipped": skipped}, count=events)


def _pieces(file: Path) -> Iterator[bytes]:
    if file == STDIO:
        while piece := os.read(sys.stdin.fileno(), PIECE_BYTES):
            yield piece
        return
    with file.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            yield piece
