"""``memctx remote``: which hub this repository's memory goes to."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memctx.cli import Group
from memctx.run import Run
from memory_core.errors import NotFound

if TYPE_CHECKING:
    from pydantic import JsonValue

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
DEFAULT_NAME = "hub"


@click.group(cls=Group)
def remote() -> None:
    """Name the hub that this repository's memory goes to."""


@remote.command("add")
@click.argument("address", metavar="URL")
@click.option("--name", default=DEFAULT_NAME, show_default=True, help="What to call it here.")
@click.pass_obj
def add(run: Run, address: str, name: str) -> None:
    """Write a hub into .memctx.toml, and sync with it from now on.

    What is remembered here is sent to it with the next sync, unless a rule denies that. The key
    is not written there: .memctx.toml is committed. It belongs under [keys] of your own file.
    """
    from sync_agent.hubs import check_allowed, deny_rules, names_of  # noqa: PLC0415
    from sync_agent.marker_text import remove_value, set_value  # noqa: PLC0415
    from sync_agent.url import check_plain, parse_url  # noqa: PLC0415

    if not NAME.fullmatch(name):
        raise click.BadParameter("letters, digits, '-' and '_'", param_hint="--name")
    url = parse_url(address)
    check_plain(url, allowed=run.options.allow_http)
    identity = run.here()
    path = _marker(run)
    check_allowed(url, names_of(identity), deny_rules(path.parent))
    before = _read(path)
    after = set_value(before, ("client",), "hub", name)
    after = set_value(remove_value(after, ("client",), "url"), ("hubs", name), "url", str(url))
    _write(path, before, after)
    run.out.note(f"{path}: the hub {name} is {url}")
    _say_what_is_missing(run, path)
    _let_agent_sync()
    run.out.finish({"name": name, "url": str(url), "file": str(path)})


@remote.command("list")
@click.pass_obj
def list_(run: Run) -> None:
    """List the hubs that are known here by name."""
    from sync_agent import config_layers as layers  # noqa: PLC0415
    from sync_agent.config import user_config_file  # noqa: PLC0415
    from sync_agent.hubs import deny_rules, names_of  # noqa: PLC0415
    from sync_agent.url import parse_url  # noqa: PLC0415

    marker = _marker(run)
    names = names_of(run.here())
    rules = deny_rules(marker.parent)
    chosen = _chosen(run, marker)
    rows: list[dict[str, JsonValue]] = []
    for layer in (layers.read_user_file(user_config_file()), layers.read_marker(marker)):
        for name, text in layer.hubs.items() if layer else ():
            if any(row["name"] == name for row in rows):
                continue
            url = parse_url(text)
            denied = any(rule.denies(url, names) for rule in rules)
            source = layer.source if layer else ""
            used = str(url) == chosen
            rows.append(
                {"name": name, "url": str(url), "used": used, "denied": denied, "file": source}
            )
    cells = [
        (str(r["name"]), str(r["url"]), _state(r), str(r["file"]))
        for r in sorted(rows, key=lambda row: str(row["name"]))
    ]
    run.out.finish(
        [*rows], human=lambda: run.out.table(("name", "address", "state", "file"), cells)
    )


@remote.command("remove")
@click.argument("name")
@click.pass_obj
def remove(run: Run, name: str) -> None:
    """Take a hub out of .memctx.toml; what was sent to it stays there."""
    from sync_agent import config_layers as layers  # noqa: PLC0415
    from sync_agent.marker_text import remove_table, remove_value  # noqa: PLC0415

    path = _marker(run)
    layer = layers.read_marker(path)
    if layer is None or name not in layer.hubs:
        raise NotFound(f"{path} names no hub {name}")
    before = _read(path)
    after = remove_table(before, ("hubs", name))
    if layer.values.get(layers.HUB) == name:
        after = remove_value(after, ("client",), "hub")
        if not layers.tables_in(path, after).get("client"):
            after = remove_table(after, ("client",))
    _write(path, before, after)
    run.out.note(f"{path}: the hub {name} is removed")
    run.out.finish({"name": name, "file": str(path)})


def _let_agent_sync() -> None:
    """Has the agent, where one runs, send what is here to its new hub."""
    from memctx.commands.agent import agent_folder  # noqa: PLC0415
    from memory_core.errors import ContextError  # noqa: PLC0415
    from sync_agent.agent.asking import ask  # noqa: PLC0415
    from sync_agent.places import find_replica  # noqa: PLC0415

    replica = find_replica(Path.cwd())
    if replica is None:
        return
    with suppress(ContextError):
        ask(agent_folder(), {"do": "sync", "replica": str(replica)}, seconds=1.0)


def _marker(run: Run) -> Path:
    """Returns the repository's ``.memctx.toml``, the nearest above this folder or the one to be."""
    from sync_agent import config_layers as layers  # noqa: PLC0415

    here = Path.cwd()
    for folder in layers.upward(here):
        if (folder / layers.MARKER_FILE).exists():
            return folder / layers.MARKER_FILE
    root = run.here().root
    return (root or here) / layers.MARKER_FILE


def _read(path: Path) -> str:
    from sync_agent import config_layers as layers  # noqa: PLC0415

    layers.tables_of(path)
    return path.read_bytes().decode() if path.exists() else ""


def _write(path: Path, before: str, after: str) -> None:
    from sync_agent.files import complete_file  # noqa: PLC0415

    if after == before:
        return
    mode = path.stat().st_mode if path.exists() else 0o644
    with complete_file(path) as file:
        file.write(after.encode())
    path.chmod(mode & 0o777)


def _chosen(run: Run, marker: Path) -> str | None:
    from sync_agent.config import load_config  # noqa: PLC0415
    from sync_agent.errors import InvalidConfig  # noqa: PLC0415

    try:
        return str(load_config(cwd=marker.parent).url)
    except InvalidConfig as error:
        run.out.warn(error.detail)
        return None


def _say_what_is_missing(run: Run, marker: Path) -> None:
    from sync_agent.config import load_config  # noqa: PLC0415
    from sync_agent.errors import InvalidConfig  # noqa: PLC0415

    try:
        load_config(cwd=marker.parent)
    except InvalidConfig as error:
        run.out.warn(error.detail)


def _state(row: dict[str, JsonValue]) -> str:
    words = [word for word in ("used", "denied") if row[word]]
    return ", ".join(words)
