"""Settings of the hub: from the environment, `.env`, `.memctx.toml`, the user's file, defaults."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

APP = "memory-context"
PREFIX = "MEMCTX_"
LOCAL_MODEL = "all-MiniLM-L6-v2"
MIB = 1024 * 1024

# The same form as `context_api.application.authenticate.TOKEN`, without loading the hub.
KEY_FORM = re.compile(r"mctx_([A-Za-z0-9]{6,32})_([A-Za-z0-9_-]{20,100})")

# `.memctx.toml` comes with a repository, whoever wrote it; these decide who may read what.
NOT_FROM_REPOSITORY = frozenset(
    {
        "allowed_hosts",
        "api_key",
        "data_dir",
        "database_url",
        "embedding_api_key",
        "embedding_provider",
        "embedding_url",
        "host",
        "model_dir",
    }
)

EmbeddingProvider = Literal["onnx", "hashing", "openai", "sentence-transformers"]


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


class Settings(BaseSettings):
    """Everything that can be set. Secrets can also be given as the path of a file that holds them,
    by the same name with `_FILE` behind it.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Any but loopback needs MEMCTX_API_KEY.",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8080,
        validation_alias=AliasChoices("MEMCTX_PORT", "PORT"),
        description="Port to listen on; 0 takes a free one.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="Key with all rights, in the form mctx_<id>_<secret>; `./setup.sh` makes one.",
    )
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder of the data; `.memctx-data` of a clone, else the user's data folder.",
    )
    database_url: str = Field(
        default="",
        description="Database of the log and its views; empty: SQLite in the data folder.",
    )
    sqlite_synchronous: Literal["NORMAL", "FULL"] = Field(
        default="NORMAL",
        description="FULL also survives the loss of power right after an answer, at a price.",
    )
    allowed_hosts: str = Field(
        default="",
        description="Host names that requests may name, separated by commas; empty: any.",
    )
    max_body_bytes: Annotated[int, Field(ge=1024, le=1024 * MIB)] = Field(
        default=16 * MIB,
        description="Largest request body in bytes, imports left out.",
    )
    body_idle_timeout: Annotated[float, Field(gt=0, le=600)] = Field(
        default=15.0, description="Seconds that a request body may pause."
    )
    body_timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=60.0,
        description="Seconds in which a request body must have come, imports left out.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto: text in a terminal, else one JSON object a line."
    )
    embedding_provider: EmbeddingProvider = Field(
        default="onnx",
        description="What turns text into vectors: the local model (onnx), a URL that speaks"
        " OpenAI's protocol (openai), sentence-transformers, or hashing for tests.",
    )
    embedding_model: str = Field(
        default="", description="Name of the model; empty: the provider's default."
    )
    embedding_url: str = Field(
        default="", description="Base URL for openai, such as http://127.0.0.1:11434/v1."
    )
    embedding_api_key: SecretStr | None = Field(
        default=None, description="Key for the embedding URL."
    )
    embedding_dimension: Annotated[int, Field(ge=1, le=8192)] | None = Field(
        default=None, description="Length of the vectors, where the provider lets one choose."
    )
    model_dir: Path | None = Field(
        default=None,
        description="Folder that holds the local models, one folder each; empty: `models` in the"
        " data folder.",
    )
    index_batch: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=64, description="Records that are indexed at a time."
    )
    index_memory_mb: Annotated[int, Field(ge=16, le=65536)] = Field(
        default=256, description="Memory for vectors kept ready to search, in MiB."
    )
    search_default_limit: Annotated[int, Field(ge=1, le=100)] = Field(
        default=10, description="Hits of a search that does not say how many."
    )
    min_score: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="Least score of a hit where a search names none; empty: recall decides.",
    )

    @field_validator("log_level", "log_format", "embedding_provider", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("data_dir", "model_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else value

    @model_validator(mode="after")
    def _check(self) -> Settings:
        for problem in _contradictions(self):
            raise ValueError(problem)
        return self

    @property
    def database(self) -> str:
        """URL of the database."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'hub.db'}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names that requests may name; none of them means any."""
        return tuple(part.strip() for part in self.allowed_hosts.split(",") if part.strip())

    @property
    def local_model(self) -> Path:
        """Folder of the model that the provider onnx runs."""
        return (self.model_dir or self.data_dir / "models") / LOCAL_MODEL

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Returns where settings come from; the first that names one holds."""
        folder = settings_folder()
        dotenv = DotEnvSettingsSource(settings_cls, env_file=folder / ".env")
        repository = folder / ".memctx.toml"
        return (
            init_settings,
            _SecretFiles(settings_cls, EnvSettingsSource(settings_cls)),
            EnvSettingsSource(settings_cls),
            _SecretFiles(settings_cls, dotenv),
            dotenv,
            _TomlSource(settings_cls, repository, without=NOT_FROM_REPOSITORY),
            _TomlSource(settings_cls, user_file()),
        )


def load(**given: Any) -> Settings:
    """Returns the settings; ``given`` ones, such as options of a command, win.

    Raises:
        SettingsError: one of them cannot be used.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        name = _variable(str(first["loc"][0])) + ": " if first["loc"] else ""
        raise SettingsError(f"{name}{message}") from error


def _variable(name: str) -> str:
    return name if name.isupper() else f"{PREFIX}{name}".upper()


def _contradictions(settings: Settings) -> Iterable[str]:
    """Yields what does not go together."""
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    if settings.api_key and not KEY_FORM.fullmatch(key):
        yield "MEMCTX_API_KEY has not the form mctx_<id>_<secret>; `./setup.sh` makes one"
    if not is_loopback(settings.host) and not key:
        yield f"MEMCTX_HOST={settings.host} can be reached by others and needs MEMCTX_API_KEY"
    if settings.embedding_provider == "openai":
        yield from _endpoint_problems(settings)
    elif settings.embedding_url:
        yield (
            "MEMCTX_EMBEDDING_URL is set but MEMCTX_EMBEDDING_PROVIDER is"
            f" {settings.embedding_provider}, which does not use it"
        )


def _endpoint_problems(settings: Settings) -> Iterable[str]:
    url = urlsplit(settings.embedding_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        yield "MEMCTX_EMBEDDING_URL: an http or https URL is needed for openai"
    elif url.username or url.password:
        yield "MEMCTX_EMBEDDING_URL holds a password; use MEMCTX_EMBEDDING_API_KEY"
    elif url.scheme == "http" and settings.embedding_api_key and not is_loopback(url.hostname):
        yield "MEMCTX_EMBEDDING_API_KEY would be sent unencrypted; use an https URL"
    if not settings.embedding_model:
        yield "MEMCTX_EMBEDDING_MODEL is needed for openai"


class _SecretFiles(PydanticBaseSettingsSource):
    """Reads secrets from the files that ``*_FILE`` variables of another source name."""

    def __init__(self, settings_cls: type[BaseSettings], variables: EnvSettingsSource) -> None:
        super().__init__(settings_cls)
        self._variables = {name.upper(): value for name, value in variables.env_vars.items()}

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Returns the content of the file, where one is named."""
        variable = _variable(field_name)
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


class _TomlSource(InitSettingsSource):
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
