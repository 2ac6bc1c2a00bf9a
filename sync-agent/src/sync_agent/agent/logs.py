"""The agent's log: one line an event, in a file of bounded size that only the user may read."""

from __future__ import annotations

import logging
import os
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

MAX_BYTES = 1024 * 1024
KEPT_FILES = 2
MAX_LINE = 2000


class _PrivateFile(RotatingFileHandler):
    def _open(self) -> TextIO:  # type: ignore[override] # narrower than what the base may give
        file = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(file, "a", encoding="utf-8", errors="replace")


class _Line(logging.Formatter):
    """``2026-11-21T12:45:38Z info …``, whatever a message holds."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        text = f"{when} {record.levelname.lower()} {record.getMessage()}"
        if record.exc_info:
            text = f"{text}: {self.formatException(record.exc_info)}"
        return printable(text[:MAX_LINE])


def printable(text: str) -> str:
    """Returns text with what could end a line or steer a terminal written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def open_log(path: Path, stream: TextIO | None = None) -> logging.Logger:
    """Returns the agent's logger, which writes to a file and, when given, to a stream too."""
    logger = logging.getLogger("sync_agent.agent")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for old in list(logger.handlers):
        logger.removeHandler(old)
        old.close()
    handlers: list[logging.Handler] = [
        _PrivateFile(path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES)
    ]
    if stream is not None:
        handlers.append(logging.StreamHandler(stream))
    for handler in handlers:
        handler.setFormatter(_Line())
        logger.addHandler(handler)
    return logger
