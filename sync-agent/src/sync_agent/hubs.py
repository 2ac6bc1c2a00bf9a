"""Which hub a project's memory goes to, and which it must never reach.

`hub_of` is the one door: whatever attaches a replica to a hub or syncs it gets its
configuration here, so no rule can be passed by. Rules deny, and everything that is not denied
is allowed; a file of rules that cannot be read stops the sync.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from memory_core.errors import ContextError
from sync_agent import config_layers as layers
from sync_agent.config import ClientConfig, load_config, user_config_file
from sync_agent.errors import InvalidConfig
from sync_agent.url import HubUrl

if TYPE_CHECKING:
    from memory_core.identity import ProjectIdentity


class HubDenied(ContextError):
    """A rule keeps this project's memory from this hub."""

    code, status = "hub_denied", 403


@dataclass(frozen=True, slots=True)
class DenyRule:
    """Keeps the projects that match ``projects`` (slugs or remotes) from the hubs that match
    ``hubs`` and not ``allowed``. ``source`` is the file that says so."""

    source: str
    hubs: tuple[str, ...]
    projects: tuple[str, ...] = ("*",)
    allowed: tuple[str, ...] = ()

    def denies(self, url: HubUrl, names: Collection[str]) -> bool:
        """Says whether the rule keeps a project with these names from a hub."""
        return (
            any(fnmatchcase(name.lower(), rule) for name in names or [""] for rule in self.projects)
            and any(matches(pattern, url) for pattern in self.hubs)
            and not any(matches(pattern, url) for pattern in self.allowed)
        )


def matches(pattern: str, url: HubUrl) -> bool:
    """Says whether a pattern means a hub.

    ``[scheme://]host[:port][/path]``, where ``*`` and ``?`` stand for anything in the host. The
    scheme says nothing, a port or path that is not given is any, a path means all below it: a
    rule that denies should not be passed by writing the same hub's address differently.
    """
    place, _, path = pattern.lower().rpartition("://")[2].partition("/")
    host, port = _host_and_port(place)
    below = path.strip("/")
    return (
        fnmatchcase(url.host.lower(), host)
        and port in {"", "*", str(url.port)}
        and (not below or f"{url.prefix.lower()}/".startswith(f"/{below}/"))
    )


def hub_of(
    root: Path,
    names: Collection[str],
    *,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    user_file: Path | None = None,
    clone: Path | None = None,
) -> ClientConfig | None:
    """Returns how to reach the hub that the memory of the project in ``root`` goes to.

    None where no hub is named: the hub of this machine is one only if something says so.
    ``names`` are the project's slug and its normalised remotes.

    Raises:
        HubDenied: a rule of the repository or of the user denies that hub to this project.
        InvalidConfig: a file cannot be used, or there is no key for a hub that needs one.
    """
    config = load_config(flags, cwd=root, environ=environ, user_file=user_file, clone=clone)
    if config.settings[layers.URL].source == "default":
        return None
    check_allowed(config.url, names, deny_rules(root, user_file=user_file))
    return config


def names_of(identity: ProjectIdentity) -> list[str]:
    """Returns what rules know a project by: its slugs and its remotes."""
    return [identity.slug, identity.qualified_slug, *identity.remotes]


def check_allowed(url: HubUrl, names: Collection[str], rules: Collection[DenyRule]) -> None:
    """Refuses a hub that a rule denies to a project.

    Raises:
        HubDenied: one does; names the file it is in.
    """
    for rule in rules:
        if rule.denies(url, names):
            raise HubDenied(
                f"{rule.source} denies the hub {url} to this project ({', '.join(names)}):"
                " nothing was sent"
            )


def deny_rules(root: Path | None, *, user_file: Path | None = None) -> list[DenyRule]:
    """Returns the rules for what lies in ``root``: those of its repository, and the user's.
    Without ``root`` only the user's.

    Raises:
        InvalidConfig: a file cannot be read, or holds a rule that cannot be understood.
    """
    own = [] if root is None else [*_of_repository(root)]
    return [*own, *_of_user(user_file or user_config_file())]


def _of_repository(root: Path) -> Iterator[DenyRule]:
    for folder in layers.upward(root):
        path = folder / layers.MARKER_FILE
        client = layers.tables_of(path).get("client", {})
        denied = client.get("deny") if isinstance(client, dict) else None
        if denied is not None:
            yield DenyRule(str(path), _hubs(path, denied, "deny"))


def _of_user(path: Path) -> Iterator[DenyRule]:
    rules = layers.tables_of(path).get("deny", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise InvalidConfig(f"{path}: rules are written as [[deny]] with projects and hubs")
    for rule in rules:
        unknown = rule.keys() - {"projects", "hubs", "except"}
        if unknown:
            raise InvalidConfig(f"{path}: [[deny]] knows projects, hubs and except, not {unknown}")
        yield DenyRule(
            str(path),
            hubs=_hubs(path, rule.get("hubs"), "hubs"),
            projects=_projects(_patterns(path, rule.get("projects", ["*"]), "projects")),
            allowed=_hubs(path, rule.get("except", []), "except"),
        )


def _patterns(path: Path, value: object, name: str) -> tuple[str, ...]:
    texts = (
        tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()
    )
    if not isinstance(value, list) or len(texts) != len(value) or "" in texts:
        raise InvalidConfig(f"{path}: {name} is a list of patterns")
    return texts


def _hubs(path: Path, value: object, name: str) -> tuple[str, ...]:
    patterns = _patterns(path, value, name)
    for pattern in patterns:
        place = pattern.rpartition("://")[2].partition("/")[0]
        if not _host_and_port(place)[0] or any(c.isspace() for c in pattern):
            raise InvalidConfig(f"{path}: {name}: {pattern!r} names no hub")
    return patterns


def _projects(patterns: tuple[str, ...]) -> tuple[str, ...]:
    from memory_core.remotes import normalise_remote  # noqa: PLC0415 - only where rules are

    return tuple((normalise_remote(pattern) or pattern).lower() for pattern in patterns)


def _host_and_port(place: str) -> tuple[str, str]:
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = place.partition(":")
    return host.rstrip("."), port
