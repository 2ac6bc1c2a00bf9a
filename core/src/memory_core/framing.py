"""The envelope in which recalled text is given to an agent, and how it is taken out again.

What was recalled comes back in the next transcript: as a hook's output, a tool's result, or
quoted. It is stripped there, so that recall is never remembered as if it were new.

The envelope is ``<memory-context nonce="N">``, the text, ``</memory-context nonce="N">``, with
a nonce that the text cannot know. Occurrences of the tag in the text are defused as well, so
no text can end its envelope or begin another.
"""

from __future__ import annotations

import re
import secrets
from functools import lru_cache

from memory_core.errors import InvalidInput

_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}")

# A tag may come back inside a JSON string or HTML: once or several times escaped.
_LT = r"(?:<|&lt;|&#60;|(?<!\\)\\++u003[cC])"
_GT = r"(?:>|&gt;|&#62;|\\++u003[eE])"
_QUOTE = r"""(?:\\*+["']|&quot;|&#34;|\\++u0022)"""
_OPEN = re.compile(rf"{_LT}memory-context nonce={_QUOTE}(?P<nonce>{_NONCE.pattern}){_QUOTE}{_GT}")
_CLOSE = re.compile(rf"{_LT}/memory-context nonce={_QUOTE}{_NONCE.pattern}{_QUOTE}{_GT}")
_CUT_OPEN = re.compile(rf"{_LT}memory-context nonce=?[^<>\n]{{0,80}}\Z")
_LOOKS_LIKE_TAG = re.compile(rf"({_LT}\s*+(?:/\s*+)?)memory-context", re.IGNORECASE)

_LINE_SEPARATORS = re.compile("\r\n?|[\u2028\u2029\u0085]")
# Controls, zero-width and bidirectional marks, tag characters, lone surrogates: what a reader
# does not see but a model reads.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


def new_nonce() -> str:
    """Returns a nonce for one envelope: 16 hexadecimal characters."""
    return secrets.token_hex(8)


def wrap(text: str, nonce: str) -> str:
    """Returns ``text`` in its envelope, without characters that a reader cannot see.

    Raises:
        InvalidInput: the nonce is not 8 to 64 letters, digits, ``-`` or ``_``.
    """
    if not _NONCE.fullmatch(nonce):
        raise InvalidInput("a nonce is 8 to 64 letters, digits, '-' or '_'")
    visible = _INVISIBLE.sub("", _LINE_SEPARATORS.sub("\n", text))
    defused = _LOOKS_LIKE_TAG.sub(r"\1memory context", visible)
    return f'<memory-context nonce="{nonce}">\n{defused}\n</memory-context nonce="{nonce}">'


def strip(text: str) -> str:
    """Returns ``text`` without any envelope and what it holds.

    An envelope whose end was cut off reaches to the end of the text, one whose beginning was
    cut off reaches back to the start.
    """
    if "memory-context" not in text:
        return text
    kept: list[str] = []
    position = 0
    while opened := _OPEN.search(text, position):
        kept.append(_after_orphans(text[position : opened.start()]))
        closed = _closing(opened["nonce"]).search(text, opened.end())
        if closed is None:
            return _joined(kept)
        position = closed.end()
    kept.append(_CUT_OPEN.sub("", _after_orphans(text[position:])))
    return _joined(kept)


@lru_cache(maxsize=64)
def _closing(nonce: str) -> re.Pattern[str]:
    return re.compile(rf"{_LT}/memory-context nonce={_QUOTE}{re.escape(nonce)}{_QUOTE}{_GT}")


def _after_orphans(text: str) -> str:
    end = 0
    for match in _CLOSE.finditer(text):
        end = match.end()
    return text[end:]


def _joined(parts: list[str]) -> str:
    # A line break between what an envelope parted, so that its sides cannot form a new tag.
    return "\n".join(part for part in parts if part.strip())
