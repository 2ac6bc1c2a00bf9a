"""Random values of environment variables whose names say nothing: ``ACME_BLOB=…``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from memory_core.redaction.judge import is_long_and_random
from memory_core.redaction.rules import Evidence, Span, Subject
from memory_core.redaction.values import is_stand_in, words

_VALUE: Final = re.compile(
    r"=[\"']?(?P<value>[A-Za-z0-9+/_-]{32,256}+={0,2})(?![A-Za-z0-9+/=_.:-])"
)
_NAME: Final = re.compile(r"(?<![A-Za-z0-9_$.-])[A-Z][A-Z0-9_]{2,63}\Z")
# Digests, ids and public values are random as well, and say so.
_HARMLESS: Final = words(
    """
    HASH SHA SHA1 SHA256 SHA384 SHA512 SUM CHECKSUM DIGEST INTEGRITY REV REVISION COMMIT VERSION
    ETAG ID IDS UUID GUID PUBLIC PUB CERT CERTIFICATE FINGERPRINT IMAGE DATA URL URI PATH DIR FILE
    NAME BUILD TRACE SPAN REQUEST CURSOR ALPHABET CHARS FONT ICON LOGO SVG PNG
    """
)


def find_random_values(subject: Subject) -> Iterator[Span]:
    """Yields long random values given to a name in upper case without spaces, as in a shell."""
    if not any(len(run) >= 32 for run in subject.runs.split("\n")):
        return
    for match in _VALUE.finditer(subject.text):
        name = _NAME.search(subject.text, max(0, match.start() - 66), match.start())
        if name is None or _HARMLESS.intersection(name[0].split("_")):
            continue
        value = match["value"]
        if is_long_and_random(value) and not is_stand_in(value):
            yield Span(match.start("value"), match.end("value"), "high_entropy", Evidence.RANDOM)
