"""Structured logs on standard error: one JSON object a line, or readable text in a terminal.

A line says what happened and where, never what was in it: no body, no query, no key, and of an
exception not its text either, for a database driver puts the values of a statement into it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from typing import Any, Literal, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

Format = Literal["auto", "json", "text"]

# Libraries whose lines below a warning may hold statements, values or whole addresses.
_QUIET = (
    "aiosqlite", "alembic", "asyncio", "asyncpg", "httpcore", "httpx", "opentelemetry", "psycopg",
    "psycopg.pool", "redis", "sqlalchemy", "uvicorn.access",
)  # fmt: skip
FRAMES = 12

_KEY = re.compile(r"mctx_([A-Za-z0-9]{6,32})_[A-Za-z0-9_-]{20,}")
_PASSWORD = re.compile(r"(?<=://)([^\s/@:]*):[^\s/@]+@")


def configure(level: str, log_format: Format, stream: TextIO = sys.stderr) -> None:
    """Sends every logger of the process, ours and the libraries', to ``stream``."""
    as_text = log_format == "text" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _without_text,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    last: Processor = _text if as_text else _json
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _without_text(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Replaces an exception by its type and where it was raised, innermost call last."""
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if given is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        event["error"] = type(error).__name__
        event["where"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    event.pop("stack_info", None)
    return event


def _json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Renders one JSON object in ASCII, so that no character can forge or colour a line."""
    try:
        text = json.dumps(event, default=repr)
    except (TypeError, ValueError):
        plain = {name: v if isinstance(v, str) else repr(v) for name, v in event.items()}
        text = json.dumps(plain)
    return _masked(text).replace("\x7f", "\\u007f")


def _masked(text: str) -> str:
    """Returns ``text`` without secrets that can be told by their form, should one get here."""
    return _PASSWORD.sub(r"\1:[redacted]@", _KEY.sub(r"mctx_\1_[redacted]", text))


def _text(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Renders ``time level name event key=value ...``, control characters escaped."""
    parts = [event.pop(name, "") for name in ("time", "level", "logger", "event")]
    parts += [f"{name}={value}" for name, value in event.items() if value is not None]
    return _escaped(_masked(" ".join(_plain(part) for part in parts)))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
