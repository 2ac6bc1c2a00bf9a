"""``memctx serve``, ``status`` and ``stop``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Command
from memctx.errors import Failed
from memctx.run import Run
from memory_core.errors import Forbidden, Unauthorized
from sync_agent.config import data_directory

if TYPE_CHECKING:
    from pydantic import JsonValue

    from memctx.embedded import Settings
    from sync_agent import documents as doc
    from sync_agent.url import HubUrl

_DATA_DIR = click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where the data lies."
)


@click.command(cls=Command)
@click.option("--host", help="Address to listen on; any but loopback needs MEMCTX_API_KEY.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (MEMCTX_PORT).")
@_DATA_DIR
@click.option("--detach", is_flag=True, help="Run in the background; return when it is ready.")
@click.option("--mark", hidden=True, help="Tells this process from others.")
@click.pass_obj
def serve(
    run: Run,
    *,
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    detach: bool,
    mark: str | None,
) -> int:
    """Start the hub on this machine."""
    from memctx import embedded  # noqa: PLC0415 - loads the hub

    settings = embedded.hub_settings(host=host, port=port, data_dir=data_dir)
    if not detach:
        return embedded.serve(settings)
    arguments = ["--host", settings.host, "--port", str(settings.port)]
    _detach(run, settings, [*arguments, "--data-dir", str(settings.data_dir)])
    return 0


def _detach(run: Run, settings: Settings, arguments: list[str]) -> None:
    from memctx import daemon  # noqa: PLC0415

    if settings.port == 0:
        raise click.UsageError("--detach needs a port that is known: set --port or MEMCTX_PORT")
    url = own_url(settings)
    found = daemon.find(settings.data_dir)
    if found is not None:
        _running(run, found, f"the hub runs already at {found.url} (process {found.pid})")
        return
    if daemon.ready(url):
        raise Failed(f"another hub answers at {url}; stop it, or set MEMCTX_PORT")
    started = daemon.start(arguments, settings.data_dir, url)
    log = settings.data_dir / daemon.LOG_FILE
    _running(run, started, f"the hub runs at {url} (process {started.pid}, log in {log})")


def _running(run: Run, found: object, sentence: str) -> None:
    from dataclasses import asdict  # noqa: PLC0415

    from memctx.daemon import Daemon  # noqa: PLC0415

    run.out.note(sentence)
    content = asdict(found) if isinstance(found, Daemon) else {}
    content.pop("mark", None)
    run.out.finish(cast("JsonValue", content))


def own_url(settings: Settings) -> HubUrl:
    """Returns where a client on this machine finds a hub with these settings."""
    from sync_agent.url import HubUrl  # noqa: PLC0415

    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on
    return HubUrl("http", anywhere.get(settings.host, settings.host), settings.port)


@click.command(cls=Command)
@_DATA_DIR
@click.pass_obj
def stop(run: Run, *, data_dir: Path | None) -> None:
    """Stop the hub that runs in the background on this data."""
    from memctx import daemon  # noqa: PLC0415

    folder = data_dir.absolute() if data_dir else data_directory()
    found = daemon.find(folder)
    if found is None:
        daemon.forget(folder)
        run.out.note(f"no hub runs in the background on {folder}")
        run.out.finish({"stopped": False}, count=0)
        return
    daemon.stop(folder, found)
    run.out.note(f"the hub (process {found.pid}) is stopped")
    run.out.finish({"stopped": True, "pid": found.pid})


@click.command(cls=Command)
@click.pass_obj
def status(run: Run) -> None:
    """Show how this folder's replica is doing, or the hub where there is none or with --hub.

    Of a hub the scope admin shows more than whether it is ready.
    """
    if run.local is not None:
        from memctx.replica_status import replica_status  # noqa: PLC0415 - the hub has its own

        replica_status(run, run.local)
        return
    readiness = dict(run.client.ready())
    try:
        found = run.client.status()
    except (Forbidden, Unauthorized) as error:
        run.out.warn(f"only its readiness is shown: {error.detail}")
        state = str(readiness.get("status"))
        run.out.finish(
            {"url": str(run.client.url), "ready": cast("JsonValue", readiness)},
            human=lambda: run.out.fields({"hub": str(run.client.url), "state": state}),
        )
        return
    data = {"url": str(run.client.url), **cast("dict[str, JsonValue]", found)}
    run.out.finish(data, human=lambda: _print_status(run, found))


def _print_status(run: Run, found: doc.Status) -> None:
    pending = sum(each["pending"] for each in found["index"])
    dead = sum(each["dead"] for each in found["index"])
    run.out.fields(
        {
            "hub": str(run.client.url),
            "version": found["version"],
            "mode": found["mode"],
            "schema": found["schema_revision"],
            "up": f"{found['uptime_s']:.0f} s",
            "model": f"{found['model']['name']} ({found['model']['state']})",
            "projects": len(found["index"]),
            "events": sum(each["head"] for each in found["index"]),
            "to index": pending,
            "not indexable": dead,
        }
    )
    for part in found["degraded"]:
        run.out.warn(f"{part['part']} is degraded; {part['mend']}")
