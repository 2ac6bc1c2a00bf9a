"""Where a client finds the hub and its key.

The order is: flag, environment, ``.env`` of the repository and of the clone of memory-context
that runs, ``.memctx.toml`` (address only), the user's file, then the hub of this machine.

A file may describe hubs by name (``[hubs.NAME] url``) and choose one (``[client] hub``). Where
the user's own file describes the name too, that hub is meant: what a repository calls it does
not lead the user's key elsewhere.

A key goes only to the hub it was given for. When a repository's own file names a hub on
another machine, a key from elsewhere is not sent there: otherwise a cloned repository could
collect the keys of everyone who works in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sync_agent import config_layers as layers
from sync_agent.config_layers import Layer
from sync_agent.errors import InsecureUrl, InvalidConfig
from sync_agent.url import HubUrl, check_plain, parse_url

DEFAULT_PORT = 8080
APPLICATION = "memory-context"
MODEL_NAME = "all-MiniLM-L6-v2"
EMBEDDING_PROVIDER = "MEMCTX_EMBEDDING_PROVIDER"
_TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Value:
    """A setting and the place it came from."""

    text: str = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What a client needs to know; ``settings`` holds every value found with its source."""

    url: HubUrl
    api_key: str | None = field(repr=False)
    project: str | None
    allow_http: bool
    ca_file: Path | None
    settings: Mapping[str, Value] = field(repr=False)


class _Sources:
    """The layers in order, each read when the ones before it did not settle the matter."""

    def __init__(self, readers: Iterable[Callable[[], Layer | None]]) -> None:
        self._readers = list(readers)
        self._read: dict[int, Layer | None] = {}

    def layers(self, *, user: bool = True) -> Iterator[Layer]:
        """Yields the layers that there are; ``user`` False leaves out the last, the user's."""
        for index in range(len(self._readers) - (not user)):
            if index not in self._read:
                self._read[index] = self._readers[index]()
            layer = self._read[index]
            if layer is not None:
                yield layer

    def find(self, *names: str, user: bool = True) -> tuple[Layer, str] | None:
        """Returns the first layer that holds a non-empty value of one of ``names``."""
        for layer in self.layers(user=user):
            for name in names:
                if layer.values.get(name):
                    return layer, name
        return None


def load_config(
    flags: Mapping[str, str] | None = None,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    user_file: Path | None = None,
    clone: Path | None = None,
) -> ClientConfig:
    """Returns the configuration for a client that runs in ``cwd``.

    Raises:
        InvalidConfig: a value is not usable, or a file that holds a key is not safe.
        InsecureUrl: the address would send a key where it must not go.
    """
    sources = _Sources(_readers(flags or {}, cwd, environ, user_file, clone))
    named_by, address = _named(sources)
    url = _own_hub(sources) if address is None else parse_url(address)
    by_name = named_by is not None and named_by.values.get(layers.URL) != address
    key = _key(sources, url, named_by, by_name=by_name)
    allow = _mine(sources.find(layers.ALLOW_HTTP), named_by) if url.plain else None
    allow_http = allow is not None and allow[0].values[layers.ALLOW_HTTP].lower() in _TRUE
    check_plain(url, allowed=allow_http)
    project = sources.find(layers.PROJECT, user=False)
    https = url.scheme == "https"
    ca_file = _mine(sources.find(layers.CA_FILE), named_by) if https else None
    settings = {layers.URL: Value(str(url), named_by.source if named_by else "default")}
    if key is not None:
        settings[layers.KEY] = key
    for found in (project, allow, ca_file):
        if found is not None:
            settings[found[1]] = Value(found[0].values[found[1]], found[0].source)
    return ClientConfig(
        url=url,
        api_key=key.text if key else None,
        project=project[0].values[layers.PROJECT] if project else None,
        allow_http=allow_http,
        ca_file=_path(ca_file[0], layers.CA_FILE) if ca_file else None,
        settings=settings,
    )


def load_project(
    *, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> str | None:
    """Returns the project that the settings name, without looking for the hub or its key."""
    found = _Sources(_readers({}, cwd, environ, None, None)).find(layers.PROJECT, user=False)
    return found[0].values[layers.PROJECT] if found else None


def names_hub(environ: Mapping[str, str] | None = None) -> bool:
    """Says whether the environment names the hub to ask, over what the folder would say."""
    return bool((os.environ if environ is None else environ).get(layers.URL))


def embedding_provider(environ: Mapping[str, str] | None = None) -> str:
    """Returns the name of the provider that embeds on this machine."""
    environment = os.environ if environ is None else environ
    return environment.get(EMBEDDING_PROVIDER, "").strip().lower() or "onnx"


def data_directory(cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """Returns the folder that a hub started here keeps its data in; it need not exist.

    It is the same that `context_api.settings` finds, without the hub being installed.
    """
    named = _of_own_hub(layers.DATA_DIR, cwd, environ)
    if named:
        return Path(named).expanduser().absolute()
    root = running_clone()
    return root / ".memctx-data" if root else _user_dirs("data")


def model_directory(cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """Returns the folder of the embedding model that a hub started here uses."""
    named = _of_own_hub(layers.MODEL_DIR, cwd, environ)
    models = (
        Path(named).expanduser().absolute() if named else data_directory(cwd, environ) / "models"
    )
    return models / MODEL_NAME


def _of_own_hub(name: str, cwd: Path | None, environ: Mapping[str, str] | None) -> str | None:
    here = Path.cwd() if cwd is None else cwd
    environment = os.environ if environ is None else environ
    if environment.get(name):
        return environment[name]
    own = layers.read_env_file((running_clone() or here) / layers.ENV_FILE, repository=False)
    if own is not None and own.values.get(name):
        return own.values[name]
    user = layers.read_user_file(user_config_file())
    return user.values.get(name) if user else None


def user_config_file() -> Path:
    """Returns the path of the user's own configuration file."""
    return _user_dirs("config") / layers.USER_FILE


def user_state_directory() -> Path:
    """Returns the folder for what a client remembers between two runs."""
    return _user_dirs("state")


def user_data_directory() -> Path:
    """Returns the user's own data folder, whatever this program runs from."""
    return _user_dirs("data")


def running_clone() -> Path | None:
    """Returns the clone of memory-context that this program runs from, if it does."""
    for folder in Path(__file__).parents:
        if (folder / "pyproject.toml").is_file():
            return folder if (folder / "core/src/memory_core").is_dir() else None
    return None


def agent_folders(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the variables that move the folders of the agents' own sessions."""
    environment = os.environ if environ is None else environ
    names = ("CLAUDE_CONFIG_DIR", "CODEX_HOME")
    return {name: environment[name] for name in names if environment.get(name)}


def folder_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the variables that move the folders of this program's own files, for a process
    that is started without this one's environment."""
    environment = os.environ if environ is None else environ
    names = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", layers.DATA_DIR)
    return {name: environment[name] for name in names if environment.get(name)}


def environment_for_all(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the environment without what names a hub or a project: that is said for one
    command, and a process for all repositories of the user must not take it for theirs."""
    environment = os.environ if environ is None else environ
    one = {layers.URL, layers.KEY, layers.KEY_FILE, layers.PROJECT, layers.CA_FILE}
    return {name: value for name, value in environment.items() if name not in one}


def colour_wanted(environ: Mapping[str, str] | None = None) -> bool:
    """Says whether the environment leaves colour on (no-color.org, dumb terminals)."""
    environment = os.environ if environ is None else environ
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def _readers(
    flags: Mapping[str, str],
    cwd: Path | None,
    environ: Mapping[str, str] | None,
    user_file: Path | None,
    clone: Path | None,
) -> Iterator[Callable[[], Layer | None]]:
    here = Path.cwd() if cwd is None else cwd
    environment = os.environ if environ is None else environ
    root = running_clone() if clone is None else clone
    own = {name: environment[name] for name in layers.NAMES if environment.get(name)}
    yield lambda: Layer("flag", flags, here)
    yield lambda: Layer("environment", own, here)
    yield lambda: _nearest_env(here, root)
    if root is not None:
        yield lambda: layers.read_env_file(root / layers.ENV_FILE, repository=False)
    yield lambda: _nearest_marker(here)
    yield lambda: layers.read_user_file(user_file or user_config_file())


def _nearest_env(here: Path, clone: Path | None) -> Layer | None:
    for folder in layers.upward(here):
        if (folder / layers.ENV_FILE).is_file():
            own = clone is not None and folder == clone
            return layers.read_env_file(folder / layers.ENV_FILE, repository=not own)
    return None


def _nearest_marker(here: Path) -> Layer | None:
    for folder in layers.upward(here):
        if (folder / layers.MARKER_FILE).is_file():
            return layers.read_marker(folder / layers.MARKER_FILE)
    return None


def _named(sources: _Sources) -> tuple[Layer | None, str | None]:
    """Returns the layer that a hub's address comes from, and the address.

    Raises:
        InvalidConfig: a hub is chosen by a name that no file describes.
    """
    found = sources.find(layers.URL, layers.HUB)
    if found is None:
        return None, None
    chosen, setting = found
    if setting == layers.URL:
        return chosen, chosen.values[layers.URL]
    name = chosen.values[layers.HUB]
    describing = [layer for layer in sources.layers() if name in layer.hubs]
    describing.sort(key=lambda layer: layer.repository)
    if not describing:
        raise InvalidConfig(
            f"{chosen.source}: no hub is named {name!r}; add [hubs.{name}] with url"
        )
    return describing[0], describing[0].hubs[name]


def _own_hub(sources: _Sources) -> HubUrl:
    found = sources.find(layers.PORT)
    port = found[0].values[layers.PORT] if found else str(DEFAULT_PORT)
    return parse_url(f"http://127.0.0.1:{port}")


def _mine(found: tuple[Layer, str] | None, named_by: Layer | None) -> tuple[Layer, str] | None:
    """Leaves out what a repository's file says about a hub that it did not name."""
    if found is None or (found[0].repository and found[0] is not named_by):
        return None
    return found


def _key(sources: _Sources, url: HubUrl, named_by: Layer | None, *, by_name: bool) -> Value | None:
    found = sources.find(layers.KEY, layers.KEY_FILE)
    foreign = named_by is not None and (named_by.repository or by_name) and not url.loopback
    if foreign and found is not None:
        own = found[0].values.get(layers.URL)
        # A layer's key is for the one hub whose address it gives, not for those it describes.
        beside = found[0] is named_by and not by_name
        foreign = not beside and not (own and parse_url(own) == url)
    if foreign or found is None or found[0].keys:
        for layer in sources.layers():
            if str(url) in layer.keys:
                return _checked(layer.keys[str(url)], layer.source)
    if found is None or foreign:
        kept = None if url.loopback else _from_keyring(url)
        if kept is not None:
            return kept
    if foreign and named_by is not None:
        raise InsecureUrl(
            f"{named_by.source} names the hub {url}, and no key of yours is for it. If you trust"
            f' that hub, write into {user_config_file()} under [keys]: "{url}" = "mctx_…"'
        )
    return _read_key(*found) if found else None


def _from_keyring(url: HubUrl) -> Value | None:
    """Returns the key that the operating system keeps for a hub, if `keyring` is installed."""
    try:
        import keyring  # noqa: PLC0415 - few have it, and it is slow to load
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError:
        return None
    try:
        key = keyring.get_password(APPLICATION, str(url))
    except KeyringError as error:
        raise InvalidConfig(f"the keyring cannot be read: {error}") from error
    return _checked(key, "keyring") if key else None


def _read_key(layer: Layer, name: str) -> Value:
    if name == layers.KEY:
        return _checked(layer.values[name], layer.source)
    path = _path(layer, name)
    try:
        return _checked(path.read_text().strip(), str(path))
    except (OSError, UnicodeError) as error:
        raise InvalidConfig(f"{layers.KEY_FILE} of {layer.source}: {error}") from error


def _checked(key: str, source: str) -> Value:
    if not key.isascii() or not key.isprintable() or " " in key or not 1 <= len(key) <= 500:
        raise InvalidConfig(f"{source}: this is not an API key (mctx_…)")
    return Value(key, source)


def _path(layer: Layer, name: str) -> Path:
    return (layer.directory or Path.cwd()) / Path(layer.values[name]).expanduser()


def _user_dirs(what: str) -> Path:
    import platformdirs  # noqa: PLC0415 - most calls have found everything before

    match what:
        case "config":
            return platformdirs.user_config_path(APPLICATION, appauthor=False)
        case "state":
            return platformdirs.user_state_path(APPLICATION, appauthor=False)
        case _:
            return platformdirs.user_data_path(APPLICATION, appauthor=False)
