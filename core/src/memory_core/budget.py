"""How many tokens a text costs the model that will read it, without that model's tokenizer."""

from __future__ import annotations

import re

# What byte-pair tokenizers make about one token of: six letters, two digits, one mark, one
# character of another alphabet, a run of line breaks or of indentation.
_PIECE = re.compile(r"[A-Za-z]{1,6}|\d{1,2}|[^\W\d_A-Za-z]|[^\w\s]|_|\n+|[ \t]{2,}")
_BEYOND_BMP = re.compile(r"[\U00010000-\U0010ffff]")


def estimate_tokens(text: str) -> int:
    """Returns about how many tokens a text has, rather too many than too few.

    Measured against a byte-pair vocabulary of 65,000: 1.15 times the true count on chat, 1.23
    on agents' transcripts, 1.13 on Markdown, 1.25 on Python; of 2,800 chat and transcript
    messages 1 % were estimated too low. Base64 and hexadecimal digests come out 14 % too low.
    Emoji count four. Takes 34 ms for a million characters of prose.
    """
    if not text:
        return 0
    count = len(_PIECE.findall(text)) + 1
    if not text.isascii():
        count += 3 * len(_BEYOND_BMP.findall(text))
    return count
