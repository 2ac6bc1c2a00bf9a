"""One run of `memctx`: its options, its output, and the memory it talks to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from memctx.output import Output
from memory_core.errors import ContextError, ProjectNotFound
from sync_agent import config_layers as layers
from sync_agent.config import ClientConfig, load_config, load_project, names_hub
from sync_agent.errors import HubUnreachable, NotHeld

if TYPE_CHECKING:
    from pydantic import JsonValue

    from memory_core.identity import ProjectIdentity
    from sync_agent import documents as doc
    from sync_agent.client import HubClient
    from sync_agent.interface import MemoryClient
    from sync_agent.local import LocalClient

T = TypeVar("T")


@dataclass(slots=True)
class Options:
    """What can be said with every command."""

    url: str | None = None
    hub: bool = False
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
    def local(self) -> LocalClient | None:
        """The replica of this folder, None if there is none or the hub is asked for.

        ``--hub``, ``--url`` and ``MEMCTX_URL`` of the environment ask for the hub.

        Raises:
            ReplicaTooNew, ReplicaReadOnly, Corrupt, Busy: it is there and cannot be used.
        """
        path = self.replica_path
        if path is None:
            return None
        from sync_agent.local import LocalClient  # noqa: PLC0415 - loads recall

        return self._open.enter_context(LocalClient.open(path))

    @cached_property
    def replica_path(self) -> Path | None:
        """The replica file of this folder, None if there is none or the hub is asked for."""
        if self.options.hub or self.options.url or names_hub():
            return None
        from sync_agent.places import find_replica  # noqa: PLC0415 - only commands on records

        return find_replica(Path.cwd())

    def of_agent(self, request: dict[str, JsonValue]) -> JsonValue:
        """Returns what the agent answers about this folder's replica, None if it does not.

        It has the model and the index in memory already. Whatever goes wrong, the command can
        do without it.
        """
        path = self.replica_path
        if path is None:
            return None
        from sync_agent.agent.asking import ask  # noqa: PLC0415
        from sync_agent.agent.folder import AgentFolder  # noqa: PLC0415
        from sync_agent.config import user_state_directory  # noqa: PLC0415

        folder = AgentFolder(user_state_directory() / "agent")
        if not folder.socket.exists():
            return None
        try:
            return ask(folder, {**request, "replica": str(path)}).get("answer")
        except ContextError:
            return None

    def ask(self, call: Callable[[MemoryClient], T]) -> T:
        """Returns what ``call`` does with the replica, else, or for what it lacks, with the hub.

        ``call`` must return what is complete: a list, not what is still to be read.

        Raises:
            ContextError: the replica's own error where no hub is named, or none answers.
        """
        local = self.local
        if local is None:
            return call(self.client)
        try:
            return call(local)
        except (NotHeld, ProjectNotFound) as error:
            if not self.has_hub:
                raise
            try:
                found = call(self.client)
            except HubUnreachable:
                raise error from None
            self.out.note(f"asked the hub {self.client.url}: {error.detail}")
            return found

    def change(self, call: Callable[[MemoryClient], T]) -> T:
        """Returns what `ask` does, and tells the agent that there is something to push."""
        done = self.ask(call)
        self.wrote()
        return done

    @cached_property
    def has_hub(self) -> bool:
        """Whether a hub is named for the replica's project, and no rule denies it.

        The hub of this machine is one only if something says so.
        """
        from sync_agent.hubs import HubDenied, hub_of, names_of  # noqa: PLC0415 - rare

        names = names_of(self.here())
        if self.local is not None:
            names += [self.local.own.slug, *self.local.own.remotes]
        try:
            return hub_of(Path.cwd(), names) is not None
        except HubDenied:
            return False

    def wrote(self) -> None:
        """Tells the agent that there is something to push, if it runs and a replica was written."""
        if self.local is None:
            return
        from sync_agent.agent.asking import poke  # noqa: PLC0415 - only after a write
        from sync_agent.agent.folder import AgentFolder  # noqa: PLC0415
        from sync_agent.config import user_state_directory  # noqa: PLC0415

        poke(AgentFolder(user_state_directory() / "agent"), self.local.replica.path)

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
        named = self.options.projects or [load_project() or ""]
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
        """Returns the hub's project to save something in: the named one, else that of this
        folder, which is made when the hub does not have it."""
        named = self.one_project
        if named is not None:
            self._check_allowed(named)
            return named
        from memctx.importing.projects import ensure_project  # noqa: PLC0415

        identity = self.here()
        if identity.weak:
            self.out.warn(
                f"this folder is no git repository: saved in {identity.slug}, known by its path;"
                " name the project with --project or in .memctx.toml"
            )
        return ensure_project(self.client, identity)["id"]

    def _check_allowed(self, named: str) -> None:
        """Refuses to save in a project what a rule keeps from the hub.

        Raises:
            HubDenied: one does.
        """
        from sync_agent.hubs import check_allowed, deny_rules, names_of  # noqa: PLC0415

        identity = self.here()
        rules = deny_rules(identity.root)
        if not rules:
            return
        # Before the hub is asked for its remotes: the name alone may be denied.
        check_allowed(self.config.url, [named], deny_rules(None))
        project = self.project_document(named)
        names = [project["slug"], *project["remotes"]]
        if not set(names) & set(names_of(identity)):
            rules = deny_rules(None)
        check_allowed(self.config.url, names, rules)

    def create(self, call: Callable[[MemoryClient, str], T]) -> T:
        """Returns what ``call`` makes in the project to write, given the client and its id.

        Raises:
            HubDenied: only the hub has the named project, and a rule keeps it from there.
        """
        local = self.local
        if local is None:
            return call(self.client, self.project_to_write())
        project = self.one_project or local.own.id
        held = {name for row in local.replica.projects() for name in (row.id, row.slug)}
        if project not in held and self.has_hub:
            self._check_allowed(project)
        return self.change(lambda client: call(client, project))

    def project_to_read(self) -> str:
        """Returns the named project, else that of this folder.

        Raises:
            ProjectNotFound: the hub does not have this folder's project.
        """
        named = self.one_project
        return named if named is not None else self.known_here()["id"]

    def known_here(self) -> doc.Project:
        """Returns the project of this folder: the replica's own, else the hub's.

        Raises:
            ProjectNotFound: it has none.
        """
        if self.local is not None:
            return self.local.projects.get(self.local.own.id)
        from memctx.importing.projects import find_project  # noqa: PLC0415

        identity = self.here()
        project = find_project(self.client, identity)
        if project is None:
            raise ProjectNotFound(f"nothing is remembered of this folder's project {identity.slug}")
        return project

    def project_document(self, name: str) -> doc.Project:
        """Returns the project with this slug or id, of the replica or else of the hub.

        Raises:
            ProjectNotFound: there is none.
        """
        slug = self._slug(name)

        def find(client: MemoryClient) -> doc.Project:
            found = next(client.projects.list(slug=slug, limit=1), None)
            if found is not None:
                return found
            if len(slug) == 36:
                return client.projects.get(slug)
            raise ProjectNotFound(f"there is no project {name}")

        return self.ask(find)

    def _slug(self, name: str) -> str:
        return self.known_here()["id"] if name == "." else name
