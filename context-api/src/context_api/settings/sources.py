"""Where settings come from besides the environment: files of secrets, and TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
)

from context_api.settings.places import SettingsError, variable_of


class SecretFiles(PydanticBaseSettingsSource):
    """Reads secrets from the files that ``*_FILE`` variables of another source name."""

    def __init__(self, settings_cls: type[BaseSettings], variables: EnvSettingsSource) -> None:
        super().__init__(settings_cls)
        self._variables = {name.upper(): value for name, value in variables.env_vars.items()}

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Returns the content of the file, where one is named."""
        variable = variable_of(field_name)
        path = self._variables.get(f"{variable}_FILE")
        if not path or "SecretStr" not in str(field.annotation):
            return None, field_name, False
        if self._variables.get(variable):
            raise SettingsError(f"{variable} and {variable}_FILE are both set")
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{variable}_FILE: {path} cannot be read") from error

    def __call__(self) -> dict[str, Any]:
        """Returns the secrets that were found."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


class TomlSource(InitSettingsSource):
    """Reads the table ``[hub]`` of a TOML file. A name that does not exist is an error."""

    def __init__(
        self, settings_cls: type[BaseSettings], path: Path, without: frozenset[str] = frozenset()
    ) -> None:
        found = _hub_table(path)
        known = settings_cls.model_fields
        for name in found:
            if name not in known:
                raise SettingsError(f"{path}: there is no setting {name}")
            if name in without:
                raise SettingsError(f"{path}: {name} cannot be set by a repository; use .env")
        super().__init__(
            settings_cls, {_initial(known[name], name): v for name, v in found.items()}
        )


def _initial(field: Any, name: str) -> str:
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else name


def _hub_table(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("hub", {})
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: hub is not a table")
    return table
