"""Text for a terminal: recalled text can never steer it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Controls (C0 but tab and line feed, DEL, C1), line separators, bidirectional and invisible
# format characters, lone surrogates, language tags.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def visible(text: str) -> str:
    """Returns ``text`` with every character that could steer a terminal written as an escape."""
    return _STEERING.sub(_escape, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Returns ``text`` as `visible` on one line, its white space joined."""
    return visible(" ".join(text.split()))


def visible_json(text: str) -> str:
    """Returns a JSON text of the same value without raw steering characters."""
    return _STEERING.sub(_json_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


class Style:
    """Marks text for a terminal, or leaves it as it is."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled

    def __call__(self, text: str, *names: str) -> str:
        """Returns ``text`` in the named styles (bold, dim, red, green, yellow, cyan)."""
        if not self.enabled or not text:
            return text
        return f"\x1b[{';'.join(_CODES[name] for name in names)}m{text}\x1b[0m"

    def highlight(self, text: str, words: Iterable[str]) -> str:
        """Returns ``text`` with words that begin like one of ``words`` in bold."""
        stems = sorted({_stem(word) for word in words if len(word) > 1}, key=len, reverse=True)
        if not self.enabled or not stems:
            return text
        pattern = r"(?<!\w)(?:" + "|".join(re.escape(stem) for stem in stems) + r")\w*"
        return re.sub(pattern, lambda match: self(match[0], "bold"), text, flags=re.IGNORECASE)


def _stem(word: str) -> str:
    """Cuts an English ending, so that "parsers" also marks "parser" and "parsing"."""
    for ending in ("ing", "ers", "ed", "er", "es", "s"):
        if word.lower().endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
