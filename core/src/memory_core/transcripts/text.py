"""Text of a transcript made fit to store and to search: cleaned, and bounded in length."""

from __future__ import annotations

import re
from functools import lru_cache

from memory_core import framing

MAX_TOOL_TEXT = 4_000
MAX_SAID_TEXT = 100_000

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[@-Z\\^_=>()][0-9A-Za-z]?)"
)
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_LINE_ENDS = re.compile(r"\r\n?")
_TRAILING = re.compile(r"(?<![ \t])[ \t]++$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
_DATA_URL = re.compile(r"data:([\w.+-]{1,40}/[\w.+-]{1,60});base64,[A-Za-z0-9+/=_-]{64,}")
_ENCODED_LENGTH = 1_000
_ENCODED = re.compile(rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{{_ENCODED_LENGTH},}}+={{0,2}}")
_LINE_NUMBERS = re.compile(r"^ {0,8}\d{1,7}(?:→|\t)", re.MULTILINE)
_SPACES = re.compile(r"\s+")

# What a harness adds around the conversation; nobody said it.
_INJECTED = ("system-reminder", "local-command-caveat", "user-prompt-submit-hook")


def clean(text: str) -> str:
    """Returns what was said or printed, without what harness and terminal put around it.

    Takes out earlier recall (`memory_core.framing`), system reminders, escape sequences,
    control characters and encoded data; keeps line breaks and indentation.
    """
    kept = framing.strip(text)
    for name in _INJECTED:
        kept = without_blocks(kept, name)
    if "\x1b" in kept:
        kept = _ESCAPES.sub("", kept)
    if "\r" in kept:
        kept = _LINE_ENDS.sub("\n", kept)
    kept = _UNSTORABLE.sub("", kept)
    if not kept.isascii():
        kept = _SURROGATES.sub("\ufffd", kept)
    kept = _without_encoded_data(kept)
    if " \n" in kept or "\t\n" in kept:
        kept = _TRAILING.sub("", kept)
    if "\n\n\n" in kept:
        kept = _BLANK_LINES.sub("\n\n", kept)
    return kept.strip("\n").rstrip()


def without_blocks(text: str, name: str) -> str:
    """Returns ``text`` without its ``<name>…</name>`` blocks; an open one without end stays."""
    return "".join(outside for outside, _ in _blocks(text, name))


def block(text: str, name: str) -> str | None:
    """Returns what the first ``<name>…</name>`` of ``text`` holds, if there is one."""
    return next((inside for _, inside in _blocks(text, name) if inside is not None), None)


def _blocks(text: str, name: str) -> list[tuple[str, str | None]]:
    opening, closing = f"<{name}>", f"</{name}>"
    found: list[tuple[str, str | None]] = []
    position = 0
    while (start := text.find(opening, position)) >= 0:
        end = text.find(closing, start)
        if end < 0:
            break
        found.append((text[position:start], text[start + len(opening) : end]))
        position = end + len(closing)
    found.append((text[position:], None))
    return found


def _without_encoded_data(text: str) -> str:
    if ";base64," in text:
        text = _DATA_URL.sub(lambda data: left_out_data(data[1], len(data[0])), text)
    if max(map(len, text.split()), default=0) >= _ENCODED_LENGTH:
        text = _ENCODED.sub(lambda data: left_out_data("encoded data", len(data[0])), text)
    return text


def left_out_data(kind: str, size: int) -> str:
    """Returns the note that stands for an image or other encoded data of ``size`` characters."""
    return f"[{kind} left out, {size:,} characters]"


def bounded(text: str, limit: int = MAX_TOOL_TEXT) -> str:
    """Returns head and tail of a longer text, with the number of characters between them.

    The result is at most ``limit`` characters (``limit`` ≥ 100); cuts are made at line ends
    where one is near.
    """
    if len(text) <= limit:
        return text
    room = limit - 50
    head = text[: room * 3 // 5]
    tail = text[len(text) - (room - len(head)) :]
    if (cut := head.rfind("\n")) > len(head) * 3 // 4:
        head = head[:cut]
    if 0 <= (cut := tail.find("\n")) < len(tail) // 4:
        tail = tail[cut + 1 :]
    missing = len(text) - len(head) - len(tail)
    return f"{head.rstrip()}\n… {missing:,} characters left out …\n{tail}"


def one_line(text: str, limit: int) -> str:
    """Returns the text on one line of at most ``limit`` characters, cut between words."""
    if len(text) <= limit and text.isprintable() and "  " not in text:
        return text.strip()
    flat = _SPACES.sub(" ", _UNSTORABLE.sub("", text[: limit * 8])).strip()
    flat = _SURROGATES.sub("\ufffd", flat)
    if len(flat) <= limit:
        return flat
    cut = flat[: limit - 1]
    space = limit - 1 if flat[limit - 1] == " " else cut.rfind(" ")
    return (cut[:space] if space > limit // 2 else cut).rstrip(" ,;:.") + "…"


def without_line_numbers(text: str) -> str:
    """Returns a listing without the number that ``cat -n`` puts before each line."""
    return _LINE_NUMBERS.sub("", text)


def relative_to(text: str, folder: str | None) -> str:
    """Returns ``text`` with absolute paths below ``folder`` made relative to it."""
    if not folder or folder.count("/") < 2 or folder not in text:
        return text
    return _folder_prefix(folder.rstrip("/")).sub("", text)


@lru_cache(maxsize=64)
def _folder_prefix(folder: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.~/-]){re.escape(folder)}/")
