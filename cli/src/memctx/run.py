"""One run of `memctx`: its options, its output, and the hub it talks to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memctx.output import Output
from memory_core.errors import ProjectNotFound
from sync_agent import config_layers as layers
from sync_agent.config import ClientConfig, load_config

if TYPE_CHECKING:
    from memory_core.identity import ProjectIdentity
    from sync_agent import documents as doc
    from sync_agent.client import HubClient


@dataclass(slots=True)
class Options:
    """What can be said with every command."""

    url: str | None = None
    projects: list[str] = field(default_factory=list)
    allow_http: bool = False


class Run:
    """Holds what a command needs; the hub is looked for when it is first used."""

    def __init__(self, output: Output | None = None) -> None:
        self.options = Options()
        self.out = output or Output()
        self._open = ExitStack()

    def close(self) -> None:
        """Closes what the run has opened."""
        self._open.close()

    @cached_property
    def config(self) -> ClientConfig:
        """The client's configuration.

        Raises:
            InvalidConfig: it is not usable.
        """
        flags = {}
        if self.options.url:
            flags[layers.URL] = self.options.url
        if self.options.allow_http:
            flags[layers.ALLOW_HTTP] = "1"
        config = load_config(flags)
        if config.url.plain:
            self.out.warn(f"{config.url} is plain http: key and texts can be read on the way")
        return config

    @cached_property
    def client(self) -> HubClient:
        """A client that gives up after two seconds, for a person who waits."""
        return self.patient_client(2.0)

    def patient_client(self, seconds: float) -> HubClient:
        """Returns a client that tries each request again for ``seconds``."""
        from sync_agent.channel import Retry  # noqa: PLC0415 - only commands that ask the hub
        from sync_agent.client import connect  # noqa: PLC0415

        client = connect(self.config, retry=Retry(budget=seconds), on_wait=self._waiting)
        return self._open.enter_context(client)

    @contextmanager
    def hub_or_embedded(self, *, new_data: bool = False) -> Iterator[HubClient]:
        """Yields a client of the hub; where none runs on this machine, one is started for the
        command, on this machine's data and without a way in for others. ``new_data`` begins
        with an empty hub where there is no data yet.

        Raises:
            HubUnreachable: none answers, and there is no data here to start one on.
            Busy: the data is in use by a hub that does not answer at this address.
        """
        from sync_agent.config import data_directory  # noqa: PLC0415
        from sync_agent.errors import HubUnreachable  # noqa: PLC0415

        try:
            self.patient_client(0.2).ready()
        except HubUnreachable:
            data = data_directory()
            is_there = new_data or (data / "hub.db").is_file()
            if not self.config.url.loopback or not is_there:
                raise
        else:
            yield self.patient_client(2.0)
            return
        from memctx.embedded import started_hub  # noqa: PLC0415 - loads the hub

        self.out.note(f"no hub answers at {self.config.url}: working on {data}")
        with started_hub() as client:
            yield client

    def _waiting(self, reason: str, seconds: float) -> None:
        if seconds >= 1:
            self.out.note(f"{reason}; trying again in {seconds:.0f} s")

    @property
    def projects(self) -> list[str]:
        """The projects that were named by ``--project``, else by ``MEMCTX_PROJECT``."""
        named = self.options.projects or [self.config.project or ""]
        return [self._slug(name) for name in named if name]

    @property
    def one_project(self) -> str | None:
        """The project that was named, if one was.

        Raises:
            click.UsageError: several were.
        """
        named = self.projects
        if len(named) > 1:
            raise click.UsageError("this command takes one --project")
        return named[0] if named else None

    def here(self) -> ProjectIdentity:
        """Returns the identity of the project in the current folder."""
        from memory_core.identity import identify  # noqa: PLC0415

        return identify(Path.cwd())

    def project_to_write(self) -> str:
        """Returns the project to save something in: the named one, else that of this folder,
        which is made when the hub does not have it."""
        named = self.one_project
        if named is not None:
            return named
        from memctx.importing.projects import ensure_project  # noqa: PLC0415

        identity = self.here()
        if identity.weak:
            self.out.warn(
                f"this folder is no git repository: saved in {identity.slug}, known by its path;"
                " name the project with --project or in .memctx.toml"
            )
        return ensure_project(self.client, identity)["id"]

    def project_to_read(self) -> str:
        """Returns the named project, else that of this folder.

        Raises:
            ProjectNotFound: the hub does not have this folder's project.
        """
        named = self.one_project
        return named if named is not None else self.known_here()["id"]

    def known_here(self) -> doc.Project:
        """Returns the hub's project of this folder.

        Raises:
            ProjectNotFound: it has none.
        """
        from memctx.importing.projects import find_project  # noqa: PLC0415

        identity = self.here()
        project = find_project(self.client, identity)
        if project is None:
            raise ProjectNotFound(f"nothing is remembered of this folder's project {identity.slug}")
        return project

    def project_document(self, name: str) -> doc.Project:
        """Returns the project with this slug or id.

        Raises:
            ProjectNotFound: there is none.
        """
        found = next(self.client.projects.list(slug=self._slug(name), limit=1), None)
        if found is not None:
            return found
        if len(name) == 36:
            return self.client.projects.get(name)
        raise ProjectNotFound(f"there is no project {name}")

    def _slug(self, name: str) -> str:
        return self.known_here()["id"] if name == "." else name
