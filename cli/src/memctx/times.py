"""Times as people write them on a command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from memory_core.clock import from_datetime, parse_time
from memory_core.errors import InvalidTime

_AGO = re.compile(r"(\d{1,5})\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_time(text: str, *, now: datetime | None = None) -> str:
    """Returns the canonical form of a time, a day or a span before now.

    ``2026-11-01T12:00:00Z``, ``2026-11-01`` (its beginning in this machine's zone), ``90m``,
    ``12h``, ``7d``, ``2w``, ``today``, ``yesterday``.

    Raises:
        InvalidTime: it is none of these.
    """
    present = (now or datetime.now(UTC)).astimezone()
    word = text.strip().lower()
    ago = _AGO.fullmatch(word)
    try:
        if ago is not None:
            return from_datetime(present - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
        if word in {"today", "yesterday"}:
            day = present.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
            before = timedelta(days=word == "yesterday")
            return from_datetime((day - before).astimezone())
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", word):
            return from_datetime(datetime.fromisoformat(word).astimezone())
        return parse_time(text.strip())
    except (InvalidTime, ValueError, OverflowError) as error:
        raise InvalidTime(
            f"{text!r} is no time: write 2026-11-01, 2026-11-01T12:00:00Z, 7d, 12h or yesterday"
        ) from error


def time_option(text: str) -> str:
    """Reads a command line parameter by `read_time`.

    Raises:
        click.BadParameter: it is no time.
    """
    try:
        return read_time(text)
    except InvalidTime as error:
        raise click.BadParameter(error.detail) from error


def short_time(text: str | None) -> str:
    """Returns a canonical time as ``2026-11-01 12:45`` in this machine's zone."""
    if not text:
        return ""
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return text


def short_date(text: str | None) -> str:
    """Returns the day of a canonical time in this machine's zone."""
    return short_time(text).partition(" ")[0]
