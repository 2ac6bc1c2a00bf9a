"""``memctx backup`` and ``memctx restore``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from memctx import backups, erasures
from memctx.cli import Command, Group
from memctx.commands.program import own_version
from memctx.errors import Failed
from memctx.run import Run
from memory_core.clock import now
from memory_core.errors import Conflict, Corrupt, Forbidden, InvalidInput
from sync_agent.errors import LocalFailure
from sync_agent.files import private_file

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent.client import HubClient

Told = Callable[[int], None]

_PATH = click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))


class WithDefault(Group):
    """A group whose first command is meant when none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the name of the first command in front, unless one is there or help is wanted."""
        first = next((word for word in args if not word.startswith("-")), None)
        wants_help = bool({"-h", "--help"} & set(args)) and first is None
        if first not in self.commands and not wants_help:
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)


@click.group(cls=WithDefault)
def backup() -> None:
    """Write everything into one file, or check such a file. `memctx backup PATH` creates one."""


@backup.command("create")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--keys", is_flag=True, help="Also the API keys, as hashes of their secrets.")
@click.option("-f", "--force", is_flag=True, help="Write over a file that exists.")
@click.pass_obj
def create(run: Run, path: Path | None, *, keys: bool, force: bool) -> None:
    """Write everything the hub holds into one file, each tenant as of one moment.

    PATH is a file or a folder, by default this one. The hub goes on meanwhile. With the hub's
    own key all tenants are in it, with another admin key that key's. Texts are in it as they
    are stored: keep it where the team's secrets are kept.
    """
    created_at = now()
    target = _target(path, created_at)
    if target.exists() and not force:
        raise click.UsageError(f"{target} exists; --force writes over it")
    manifest = backups.Manifest(created_at, own_version(), keys)
    with run.hub_or_embedded() as client, _progress(run, "saving", None) as wrote:
        size, digest = _write(client, target, manifest, wrote)
    for tenant in manifest.tenants:
        run.out.note(f"{tenant.name}: {tenant.events} events of {len(tenant.projects)} projects")
    run.out.note(f"{size} bytes written to {target}; `memctx backup verify` checks it")
    data: dict[str, JsonValue] = {"file": str(target), "bytes": size, "sha256": digest}
    run.out.finish(data | _summary(manifest), human=lambda: run.out.text(str(target)))


def _target(path: Path | None, at: str) -> Path:
    name = f"memory-context-{at[:19].replace(':', '').replace('-', '')}Z.tar.gz"
    if path is None:
        return Path.cwd() / name
    return path / name if path.is_dir() else path


def _write(
    client: HubClient, target: Path, manifest: backups.Manifest, wrote: Told
) -> tuple[int, str]:
    """Writes to a temporary file first: ``target`` is complete or not there."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with private_file(temporary) as file:
            writer = backups.Writer(file, manifest)
            for tenant in _tenants(client):
                with client.export(
                    tenant=tenant.id or None, keys=manifest.keys, views=True
                ) as pieces:
                    writer.tenant(tenant, pieces, wrote)
            writer.finish()
            file.flush()
            os.fsync(file.fileno())
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.seek(0, os.SEEK_END)
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise LocalFailure(f"{target}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return size, digest


def _sync_folder(folder: Path) -> None:
    """Makes the new name of a file survive the loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tenants(client: HubClient) -> list[backups.TenantBackup]:
    """Returns what is to be saved: all tenants for the hub's own key, else that of the key."""
    try:
        found = client.tenants.list()
    except Forbidden:
        return [backups.TenantBackup("", "own")]
    return [backups.TenantBackup(one["id"], one["name"], one["created_at"]) for one in found]


def _summary(manifest: backups.Manifest) -> dict[str, JsonValue]:
    return {
        "created_at": manifest.created_at,
        "release": manifest.release,
        "keys": manifest.keys,
        "tenants": [
            {
                "id": tenant.id,
                "name": tenant.name,
                "events": tenant.events,
                "projects": len(tenant.projects),
            }
            for tenant in manifest.tenants
        ],
    }


@backup.command("verify")
@_PATH
@click.pass_obj
def verify(run: Run, path: Path) -> None:
    """Restore a backup into a scratch database and compare everything with what it should be.

    Every part is compared with its SHA-256, every event with its digest, every head and the
    digest of every view with those of the hub that made it. Needs the hub installed here, and
    room for the data in the folder for temporary files. Exits with 1 if anything differs.
    """
    from memctx import embedded  # noqa: PLC0415 - loads the hub

    with _progress(run, "reading", None) as went:
        manifest = _checked(path, went)
    problems: list[str] = []
    total = sum(part.bytes for tenant in manifest.tenants for part in tenant.parts)
    with _progress(run, "restoring", total) as went:
        for tenant in manifest.tenants:
            pieces = _told(backups.pieces_of(path, tenant), went)
            try:
                found = embedded.rehearse_restore(tenant.id, pieces)
            except (InvalidInput, Conflict, Corrupt) as error:
                raise Failed(f"{path}: {tenant.name}: {error.detail}") from error
            problems += [f"{tenant.name}: {problem}" for problem in _differences(tenant, found)]
    if problems:
        raise Failed(f"{path}: {problems[0]}", problems=[*problems], backup=_summary(manifest))
    events = sum(tenant.events for tenant in manifest.tenants)
    run.out.note(f"{path} is whole: {events} events restored, and all as they were")
    data: dict[str, JsonValue] = {"file": str(path), "ok": True}
    run.out.finish(data | _summary(manifest))


def _differences(tenant: backups.TenantBackup, found: Mapping[str, Any]) -> Iterator[str]:
    """Yields where a rehearsed restore is not what the manifest says."""
    expected = {one.id: (one.head, one.digest) for one in tenant.projects}
    restored = {one["id"]: (one["head"], one["digest"]) for one in found["projects"]}
    for project in sorted(expected.keys() | restored.keys()):
        if expected.get(project) != restored.get(project):
            yield f"the log of project {project} ends elsewhere"
    if found["events"] != tenant.events:
        yield f"{found['events']} events instead of {tenant.events}"
    if not found["ok"]:
        yield "the views are not what the log says"
    if found["view_digest"] != tenant.view_digest:
        yield "the views are not those of the hub that made it"


@click.command(cls=Command)
@_PATH
@click.option("--merge", is_flag=True, help="Into a hub that has projects: add what it lacks.")
@click.option("--keys", is_flag=True, help="Also the API keys that the backup holds.")
@click.option(
    "--erasures",
    "listed",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A list of `memctx erasures export`: what it names does not come back.",
)
@click.pass_obj
def restore(run: Run, path: Path, *, merge: bool, keys: bool, listed: Path | None) -> None:
    """Take a backup in; the hub must be empty unless --merge is given.

    Clients notice by the new epoch of each project and read it again. Tenants that the hub does
    not have are made; that and their data need the hub's own key. With --merge a second run
    completes one that was interrupted.
    """
    erased = erasures.read(listed) if listed else []
    with _progress(run, "reading", None) as went:
        manifest = _checked(path, went)
    if keys and not manifest.keys:
        raise click.UsageError(f"{path} holds no API keys; it was made without --keys")
    total = sum(part.bytes for tenant in manifest.tenants for part in tenant.parts)
    done: list[JsonValue] = []
    with (
        run.hub_or_embedded(new_data=True) as client,
        _progress(run, "restoring", total) as went,
    ):
        targets = _targets(run, client, manifest, merge=merge)
        for tenant, target in zip(manifest.tenants, targets, strict=True):
            pieces = _told(backups.pieces_of(path, tenant), went)
            if erased:
                pieces = erasures.before_projects(pieces, erased)
            mode = "merge" if merge else "empty"
            taken = client.restore(pieces, tenant=target, mode=mode, keys=keys)
            done.append({"tenant": tenant.name, **cast("dict[str, JsonValue]", taken)})
            run.out.note(
                f"{tenant.name}: {taken['events']} events of {taken['projects']} projects taken"
                f" in, {taken['skipped']} were there, {taken['keys']} keys"
                + (f", {taken['erased']} erased again" if listed else "")
            )
    run.out.finish({"file": str(path), "tenants": done}, count=len(done))


def _targets(
    run: Run, client: HubClient, manifest: backups.Manifest, *, merge: bool
) -> list[str | None]:
    """Returns where each tenant goes, None for that of the key; makes those that are missing.

    Raises:
        Forbidden: the backup holds several tenants and the key reaches one.
        Conflict: there are projects already, and they were not to be added to.
    """
    try:
        present = {tenant["id"]: tenant["projects"] for tenant in client.tenants.list()}
    except Forbidden:
        if len(manifest.tenants) != 1:
            raise Forbidden("a backup of several tenants needs the hub's own key") from None
        _check_empty(0 if merge else sum(1 for _ in client.projects.list(limit=1)))
        return [None]
    for tenant in manifest.tenants:
        _check_empty(0 if merge else present.get(tenant.id, 0))
    for tenant in manifest.tenants:
        if tenant.id not in present:
            made = client.tenants.create({"id": tenant.id, "name": tenant.name})
            run.out.note(
                f"tenant {tenant.name} is made; its first key, shown only now: {made['key']}"
            )
    return [tenant.id for tenant in manifest.tenants]


def _check_empty(projects: int) -> None:
    if projects:
        raise Conflict(
            "there are projects here already; restore into an empty hub, or add what is missing"
            " here with --merge"
        )


def _checked(path: Path, went: Told) -> backups.Manifest:
    try:
        return backups.check(path, went)
    except OSError as error:
        raise LocalFailure(f"{path}: {error.strerror or error}") from error


def _told(pieces: Iterator[bytes], went: Told) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        went(len(piece))


@contextmanager
def _progress(run: Run, stage: str, total: int | None) -> Iterator[Told]:
    """Yields what to tell the bytes that are done; shows a bar where a person looks on."""
    if not run.out.shows_progress:
        yield lambda _size: None
        return
    from memctx.progress import stage_bar  # noqa: PLC0415 - rich takes long to load

    done = 0
    with stage_bar() as update:

        def tell(size: int) -> None:
            nonlocal done
            done += size
            update(stage, done, total)

        update(stage, 0, total)
        yield tell
