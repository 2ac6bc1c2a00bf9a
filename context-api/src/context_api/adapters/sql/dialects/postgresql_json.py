"""JSON as PostgreSQL keeps it."""

from __future__ import annotations

import json
import re
from typing import Any

_EXPONENT = re.compile(r"\d[eE]\+?\d")


def to_jsonb(value: Any) -> str:
    """Returns JSON that comes back from a jsonb column as the same value.

    There a number is exact but has no exponent: 1e16 would come back as an integer.
    """
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return written if _EXPONENT.search(written) is None else _spelled(value)


def _spelled(value: Any) -> str:
    """Writes JSON with all digits of large numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{_spelled(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_spelled, value)) + "]"
    if isinstance(value, float) and abs(value) >= 1e16:
        return f"{value:.1f}"
    return json.dumps(value, ensure_ascii=False)
