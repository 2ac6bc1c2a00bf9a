"""Secrets that anybody could guess, which no hub may start with when others can reach it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

LEAST_LENGTH = 16
LEAST_DIFFERENT = 8

_DEFAULT = re.compile(
    "changeme|changethis|replaceme|example|placeholder|default|password|passwort|secret|letmein"
    "|qwerty|topsecret|yoursecret|yourpassword|yourkey|insecure|dummy|sample|test|admin|root"
    "|postgres|redis|chroma|memctx|memorycontext|abc123|123456"
)
_FILLER = re.compile(r"[^a-z0-9]")
_MEND = "; `./setup.sh` makes random ones"


def refuse_weak(secrets: Mapping[str, str | None], *, embedded: bool) -> str | None:
    """Returns why the hub must not start with these secrets, or None if it may.

    ``secrets`` are values by the name of their setting; of a URL its password is looked at, a
    key is looked at without its public id. Empty ones are not judged here. An embedded hub,
    which only its own machine reaches, may have any. The sentence never holds a secret.
    """
    if embedded:
        return None
    for name, value in secrets.items():
        secret = secret_of(value or "")
        reason = weakness(secret) if secret else None
        if reason is not None:
            return f"{name} {reason}{_MEND}"
    return None


def secret_of(value: str) -> str:
    """Returns the part of a value that is secret: a URL's password, a key without its id."""
    if "://" in value:
        return unquote(urlsplit(value).password or "")
    return value.split("_", 2)[2] if value.startswith("mctx_") and value.count("_") > 1 else value


def weakness(secret: str) -> str | None:
    """Returns what is wrong with a secret, as the end of a sentence, or None."""
    plain = _FILLER.sub("", secret.lower())
    for default in _DEFAULT.findall(plain):
        # The whole of it, or all but a few characters around it, is a word of the list.
        if len(plain) - len(default) <= max(4, len(default)):
            return "is a default that anybody knows"
    if len(secret) < LEAST_LENGTH:
        return f"is shorter than {LEAST_LENGTH} characters"
    if len(set(secret)) < LEAST_DIFFERENT:
        return "repeats a few characters"
    return None
