"""Where settings are looked for, and where data lies when nothing else is said."""

from __future__ import annotations

import tomllib
from ipaddress import ip_address
from pathlib import Path

import platformdirs

APP = "memory-context"
PREFIX = "MEMCTX_"


class SettingsError(Exception):
    """The settings do not make sense; says which one and why in one line."""


def clone_root() -> Path | None:
    """Returns the clone of memory-context that this program runs from, if it does."""
    for folder in Path(__file__).resolve().parents:
        project = folder / "pyproject.toml"
        if project.is_file():
            named = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
            return folder if named.get("name") == APP else None
    return None


def settings_folder() -> Path:
    """Returns where `.env` and `.memctx.toml` are looked for: the clone, else here."""
    return clone_root() or Path.cwd()


def user_file() -> Path:
    """Returns the user's own configuration file, which need not exist."""
    return platformdirs.user_config_path(APP, appauthor=False) / "config.toml"


def default_data_dir() -> Path:
    """Returns `.memctx-data` of the clone, else the user's data folder."""
    root = clone_root()
    return root / ".memctx-data" if root else platformdirs.user_data_path(APP, appauthor=False)


def is_loopback(host: str) -> bool:
    """Says if only this machine can reach ``host``."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def variable_of(name: str) -> str:
    """Returns the environment variable of a setting."""
    return name if name.isupper() else f"{PREFIX}{name}".upper()
