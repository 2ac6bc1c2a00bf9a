"""Settings of the hub: from the environment, `.env`, `.memctx.toml`, the user's file, defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

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
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from context_api.settings.checks import contradictions
from context_api.settings.places import (
    PREFIX,
    SettingsError,
    default_data_dir,
    settings_folder,
    user_file,
    variable_of,
)
from context_api.settings.sources import SecretFiles, TomlSource

LOCAL_MODEL = "all-MiniLM-L6-v2"
MIB = 1024 * 1024

# `.memctx.toml` comes with a repository, whoever wrote it; these decide who may read what.
NOT_FROM_REPOSITORY = frozenset(
    {
        "allowed_hosts",
        "api_key",
        "cache_secret",
        "chroma_token",
        "chroma_url",
        "data_dir",
        "database_url",
        "embedding_api_key",
        "embedding_provider",
        "embedding_url",
        "host",
        "metrics_host",
        "metrics_key",
        "metrics_port",
        "model_dir",
        "redis_url",
        "role",
    }
)

EmbeddingProvider = Literal["onnx", "hashing", "openai", "sentence-transformers"]


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
    metrics_key: SecretStr | None = Field(
        default=None,
        description="Key that only reads /metrics, in the same form; empty: an admin's is needed.",
    )
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="Port of a worker's own /metrics; empty: it has none."
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        description="Address of that port. Any but loopback needs MEMCTX_METRICS_KEY.",
    )
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder of the data; `.memctx-data` of a clone, else the user's data folder.",
    )
    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="Database of the log and its views, postgresql+asyncpg://user:password@host/name"
        " for a team; empty: SQLite in the data folder.",
    )
    chroma_url: str = Field(
        default="",
        description="Chroma server for vectors, such as http://127.0.0.1:8000; empty: exact search"
        " alone.",
    )
    chroma_token: SecretStr | None = Field(
        default=None, description="Token that the Chroma server asks for, if it does."
    )
    redis_url: SecretStr = Field(
        default=SecretStr(""),
        description="Redis for caches and rate limits, redis://user:password@host:6379/0; empty:"
        " each process has its own.",
    )
    cache_secret: SecretStr | None = Field(
        default=None,
        description="Secret by which cached values are known as our own; needed with Redis.",
    )
    role: Literal["all", "api", "worker"] = Field(
        default="all",
        description="What a process does: answer requests (api), index (worker), or both.",
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
    head_timeout: Annotated[float, Field(gt=0, le=600)] = Field(
        default=10.0, description="Seconds in which the head of a request must have come."
    )
    idle_timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=15.0, description="Seconds that a connection may stay open between requests."
    )
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=1000,
        description="Connections open at a time, streams included; who waits gives way.",
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
    exact_search_chunks: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=100_000,
        description="Up to so many chunks of a project are searched exactly, above by Chroma.",
    )
    rate_limit_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=0, description="Requests a minute of one API key; 0: as many as it likes."
    )
    search_default_limit: Annotated[int, Field(ge=1, le=100)] = Field(
        default=10, description="Hits of a search that does not say how many."
    )
    min_score: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="Least score of a hit where a search names none; empty: recall decides.",
    )

    audit_reads: bool = Field(
        default=False,
        description="Writes every read of memories into the audit log, at the price of a write.",
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
        for problem in contradictions(self):
            raise ValueError(problem)
        return self

    @property
    def database(self) -> str:
        """URL of the database."""
        given = self.database_url.get_secret_value()
        return given or f"sqlite+aiosqlite:///{self.data_dir / 'hub.db'}"

    @property
    def secrets(self) -> dict[str, str | None]:
        """What nobody may guess, by the names of the settings; a URL holds its password."""
        given = {
            "MEMCTX_API_KEY": self.api_key,
            "MEMCTX_METRICS_KEY": self.metrics_key,
            "MEMCTX_DATABASE_URL": self.database_url,
            "MEMCTX_REDIS_URL": self.redis_url,
            "MEMCTX_CACHE_SECRET": self.cache_secret,
            "MEMCTX_CHROMA_TOKEN": self.chroma_token,
        }
        return {name: value.get_secret_value() if value else None for name, value in given.items()}

    @property
    def is_server(self) -> bool:
        """Whether the log lies in PostgreSQL, for a team, and not in a file of this machine."""
        return self.database.startswith("postgresql")

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
            SecretFiles(settings_cls, EnvSettingsSource(settings_cls)),
            EnvSettingsSource(settings_cls),
            SecretFiles(settings_cls, dotenv),
            dotenv,
            TomlSource(settings_cls, repository, without=NOT_FROM_REPOSITORY),
            TomlSource(settings_cls, user_file()),
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
        name = variable_of(str(first["loc"][0])) + ": " if first["loc"] else ""
        raise SettingsError(f"{name}{message}") from error
