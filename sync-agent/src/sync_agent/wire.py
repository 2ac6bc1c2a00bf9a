"""How requests are written and headers are read."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlencode

from memory_core.errors import InvalidInput, InvalidText

if TYPE_CHECKING:
    from pydantic import JsonValue

Query: TypeAlias = Mapping[str, "str | int | float | bool | Sequence[str] | None"]


def encode(body: JsonValue) -> bytes:
    """Returns a body as JSON.

    Raises:
        InvalidText, InvalidInput: a text is not valid UTF-8, or a number is not finite.
    """
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidText("a text is not valid UTF-8") from error
    except ValueError as error:
        raise InvalidInput("a number is not finite") from error


def target(path: str, query: Query | None) -> str:
    """Returns a path with its query; what is None is left out, lists are repeated.

    Raises:
        InvalidText: a text is not valid UTF-8.
    """
    pairs = [
        (name, str(item).lower() if isinstance(item, bool) else str(item))
        for name, value in (query or {}).items()
        if value is not None
        for item in (
            value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        )
    ]
    try:
        return f"{path}?{urlencode(pairs)}" if pairs else path
    except UnicodeEncodeError as error:
        raise InvalidText("a text is not valid UTF-8") from error


def retry_after(value: str | None) -> float | None:
    """Returns the seconds that a ``Retry-After`` header asks to wait."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - the rare form

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
