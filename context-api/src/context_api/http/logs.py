"""Structured logs on standard error: one JSON object a line, or readable text in a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

Format = Literal["auto", "json", "text"]

_QUIET = ("uvicorn.access", "asyncio", "httpx", "httpcore", "aiosqlite")


def configure(level: str, log_format: Format, stream: TextIO = sys.stderr) -> None:
    """Sends every logger of the process, ours and the libraries', to ``stream``."""
    as_text = log_format == "text" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
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


def _json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()


def _text(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Renders ``time level name event key=value ...``, control characters escaped."""
    parts = [event.pop(name, "") for name in ("time", "level", "logger", "event")]
    parts += [f"{name}={value}" for name, value in event.items() if value is not None]
    return _escaped(" ".join(_plain(part) for part in parts))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
