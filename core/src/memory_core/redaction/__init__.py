"""Redaction: what must not be remembered is taken out before anything is stored or logged."""

from memory_core.redaction.engine import Redacted, redact_text
from memory_core.redaction.json_values import redact_value
from memory_core.redaction.kinds import KINDS, LEVELS, Category, Kind, placeholder

__all__ = [
    "KINDS",
    "LEVELS",
    "Category",
    "Kind",
    "Redacted",
    "placeholder",
    "redact_text",
    "redact_value",
]
