"""The places a client's settings come from, each read only when it is needed.

Every reader returns a `Layer` or None, and none of them decides anything.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sync_agent.errors import InvalidConfig

URL = "MEMCTX_URL"
KEY = "MEMCTX_API_KEY"
KEY_FILE = "MEMCTX_API_KEY_FILE"
PROJECT = "MEMCTX_PROJECT"
PORT = "MEMCTX_PORT"
DATA_DIR = "MEMCTX_DATA_DIR"
MODEL_DIR = "MEMCTX_MODEL_DIR"
ALLOW_HTTP = "MEMCTX_ALLOW_HTTP"
CA_FILE = "MEMCTX_CA_FILE"
NAMES = (URL, KEY, KEY_FILE, PROJECT, PORT, DATA_DIR, MODEL_DIR, ALLOW_HTTP, CA_FILE)

HUB = "hub"
"""The name of one of the hubs that a file describes, in place of its address."""

ENV_FILE = ".env"
MARKER_FILE = ".memctx.toml"
USER_FILE = "config.toml"
MAX_FILE_BYTES = 256 * 1024

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*\Z")
_SECRET_NAME = re.compile(r"(?i)(api_?key|secret|token|password)")
_KEY = re.compile(r"mctx_[A-Za-z0-9]+_")


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings of one place.

    ``repository`` says that the place belongs to whoever wrote the repository, who need not be
    the one who runs the client. ``keys`` are API keys by the hub they are for, ``hubs`` the
    addresses of hubs by their names.
    """

    source: str
    values: Mapping[str, str] = field(repr=False)
    directory: Path | None = None
    repository: bool = False
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    hubs: Mapping[str, str] = field(default_factory=dict)


def parse_env(text: str) -> dict[str, str]:
    """Returns the settings of a ``.env`` file that are a client's (``NAMES``)."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or match[1] not in NAMES:
            continue
        value = match[2]
        quote = value[:1]
        end = value.find(quote, 1) if quote in {"'", '"'} else -1
        found[match[1]] = value[1:end] if end > 0 else re.split(r"(?:^|\s)#", value)[0].strip()
    return found


def upward(start: Path) -> Iterator[Path]:
    """Yields ``start`` and its parents up to the root of its repository.

    Outside a repository only ``start`` itself: above it (think of ``/tmp``) others may write.
    """
    folders = [start, *start.parents]
    for index, folder in enumerate(folders):
        if (folder / ".git").exists():
            yield from folders[: index + 1]
            return
    yield start


def read_env_file(path: Path, *, repository: bool) -> Layer | None:
    """Returns the layer of a ``.env`` file, or None if there is none that can be read."""
    text = _read(path)
    if text is None:
        return None
    return Layer(str(path), parse_env(text), path.parent, repository=repository)


def read_marker(path: Path) -> Layer | None:
    """Returns the layer of a repository's ``.memctx.toml``: ``url`` or ``hub`` of its table
    ``[client]``, and its tables ``[hubs.NAME]``.

    Raises:
        InvalidConfig: it is not TOML, or holds a key: the file is meant to be committed.
    """
    text = _read(path)
    if text is None:
        return None
    tables = tables_in(path, text)
    client = _table(tables, "client")
    if _KEY.search(text) or any(_SECRET_NAME.search(name) for name in client):
        raise InvalidConfig(
            f"{path} is committed with the repository and must not hold a key;"
            f" remove it there, revoke it, and put the new one into {ENV_FILE}"
        )
    named = {URL: client.get("url"), HUB: client.get("hub")}
    values = {setting: value for setting, value in named.items() if isinstance(value, str)}
    return Layer(str(path), values, path.parent, repository=True, hubs=_hubs(tables))


def read_user_file(path: Path) -> Layer | None:
    """Returns the layer of the user's own file: its tables ``[client]``, ``[keys]``, ``[hub]``
    and ``[hubs.NAME]``.

    Raises:
        InvalidConfig: it is not TOML, or holds a key and others may read it.
    """
    text = _read(path)
    if text is None:
        return None
    tables = tables_in(path, text)
    client, hub = _table(tables, "client"), _table(tables, "hub")
    names = {"url": URL, "hub": HUB, "api_key": KEY, "api_key_file": KEY_FILE}
    names |= {"allow_http": ALLOW_HTTP, "ca_file": CA_FILE}
    found = {setting: client.get(name) for name, setting in names.items()}
    found |= {DATA_DIR: hub.get("data_dir"), MODEL_DIR: hub.get("model_dir")}
    found[PORT] = hub.get("port")
    values = {name: _text(value) for name, value in found.items() if value is not None}
    keys = {url: key for url, key in _table(tables, "keys").items() if isinstance(key, str)}
    if (KEY in values or keys) and open_to_others(path):
        raise InvalidConfig(f"{path} holds a key and others may read it: chmod 600 {path}")
    return Layer(str(path), values, path.parent, keys=keys, hubs=_hubs(tables))


def tables_of(path: Path) -> dict[str, object]:
    """Returns what a TOML file holds, nothing where there is no file.

    Raises:
        InvalidConfig: it cannot be read, so that what it forbids is not known.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InvalidConfig(f"{path}: {error.strerror or error}") from error
    if len(content) > MAX_FILE_BYTES:
        raise InvalidConfig(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    return tables_in(path, content.decode("utf-8", "replace"))


def open_to_others(path: Path) -> bool:
    """Says whether users other than the owner may read or write ``path`` (POSIX modes)."""
    return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def tables_in(path: Path, text: str) -> dict[str, object]:
    """Returns what a TOML text holds; ``path`` is where it came from.

    Raises:
        InvalidConfig: it is not TOML.
    """
    import tomllib  # noqa: PLC0415 - most calls meet no TOML file

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(f"{path}: {error}") from error


def _table(tables: Mapping[str, object], name: str) -> dict[str, object]:
    table = tables.get(name)
    return {str(key): value for key, value in table.items()} if isinstance(table, dict) else {}


def _hubs(tables: Mapping[str, object]) -> dict[str, str]:
    found = {
        name: _table({name: hub}, name).get("url") for name, hub in _table(tables, "hubs").items()
    }
    return {name: url for name, url in found.items() if isinstance(url, str)}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
