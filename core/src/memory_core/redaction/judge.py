"""The decision about a named value: what a name, a place and a value prove together."""

from __future__ import annotations

import re
from typing import Final

from memory_core.redaction.kinds import without_placeholders
from memory_core.redaction.names import Class, Meaning
from memory_core.redaction.places import Place
from memory_core.redaction.values import (
    character_classes,
    entropy,
    has_pairs_of_words,
    is_code,
    is_hex,
    is_mixed,
    is_path,
    is_pattern,
    is_scrambled,
    is_stand_in,
    is_uuid,
)

_STEM_INSIDE: Final = re.compile(
    r"pass|pwd|secret|token|key|auth|cred|env|config|user|login", re.IGNORECASE
)
_RESOURCE: Final = re.compile(r"[\w.@:-]*(?:/[\w.@:-]+)+/?")
_WORDY_PART: Final = re.compile(r"[A-Za-z]+\d{0,2}|\d{1,4}|[vV]\d+")
_CONSTANT: Final = re.compile(r"[A-Z][A-Z_]*(?:\d{1,2}(?:_[A-Z_]+)?)?")
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(?:[.:]{1,2}[A-Za-z_]\w*)+|[A-Za-z_.-]+=")
_CALL: Final = re.compile(r"[({\[|]|=>|->|::|&&")


# How a public key or certificate begins in base64.
_PUBLIC_DER: Final = ("MII", "MFkw", "MCow", "MHYw")
# What stands in the first characters decides; more would only cost time.
_JUDGED: Final = 256


def looks_made(value: str) -> bool:
    """Tells whether a machine made the value: random letters and digits, a UUID, a digest."""
    value = value.strip("[](){}")
    return is_scrambled(value, least=12) or is_uuid(value) or (len(value) >= 32 and is_hex(value))


def is_wordy(value: str) -> bool:
    """Tells whether a value is made of words and small numbers, as resource names are."""
    return all(_WORDY_PART.fullmatch(part) for part in re.split(r"[-_. ]+", value.strip("-_. ")))


def accepts(meaning: Meaning, place: Place, value: str) -> bool:
    """Tells whether the value of a name with this meaning, at this place, is a secret."""
    value = without_placeholders(value[:_JUDGED])
    if len(value) < 4 or any(c.isspace() for c in value):
        return False
    if is_stand_in(value) or is_pattern(value):
        return False
    if place is Place.AFTER_SPACE:
        return meaning.cls is not Class.HINT and is_scrambled(value, least=20)
    return _ACCEPTS[meaning.cls](place, value, meaning.upper)


def _accepts_password(place: Place, value: str, _upper: bool) -> bool:
    if is_path(value) or _CONSTANT.fullmatch(value):
        return False
    letters_only = not is_mixed(value) and not value.isdigit()
    if place in {Place.LITERAL, Place.SHELL}:
        if place is Place.SHELL and _CALL.search(value):
            return False
        return not letters_only or not _is_common_word(value)
    if place in {Place.LINE, Place.ARGUMENT, Place.LISTED}:
        # In a list of names, "scram-sha-256" is one more name.
        named = place is Place.LISTED and is_wordy(value) and not value.isalnum()
        return not (letters_only or named or len(value) < 6 or _is_expression(value))
    return (len(value) >= 8 and _has_signs(value)) or is_scrambled(value, least=12)


def _is_common_word(value: str) -> bool:
    return len(value) < 6 or value.istitle() or _STEM_INSIDE.search(value) is not None


def _accepts_token(place: Place, value: str, _upper: bool) -> bool:
    if place is not Place.LITERAL and (_CALL.search(value) or _is_name_of_one(value)):
        return False
    if place in {Place.LITERAL, Place.SHELL} and len(value) >= 12:
        signs = character_classes(value) == 4 and entropy(value) >= 3.3
        if signs and not is_path(value) and not is_wordy(value) and not is_code(value):
            return True
    if place is not Place.WORD and is_scrambled(value, least=10) and character_classes(value) >= 3:
        return True
    return looks_made(value) and (place is not Place.WORD or not is_wordy(value))


def _is_name_of_one(value: str) -> bool:
    """Tells a name such as ``PKCS7PrivateKey`` from a token."""
    named = value.isidentifier() and _STEM_INSIDE.search(value) is not None
    return named and has_pairs_of_words(value)


def _accepts_secret(place: Place, value: str, upper: bool) -> bool:
    made = looks_made(value)
    if is_path(value) or (not made and (_RESOURCE.fullmatch(value) or _CONSTANT.fullmatch(value))):
        return False
    if place in {Place.LITERAL, Place.SHELL}:
        if place is Place.SHELL and _CALL.search(value):
            return False
        lettered = len(value) >= 8 and any(c.isalpha() for c in value)
        return lettered and (made or upper or not is_wordy(value))
    if place in {Place.LINE, Place.ARGUMENT, Place.LISTED}:
        plain = is_mixed(value) and len(value) >= 8 and not is_wordy(value)
        return made or (plain and not _is_expression(value))
    return made or (len(value) >= 10 and _has_signs(value))


def _has_signs(value: str) -> bool:
    return character_classes(value) >= 3 and not is_code(value) and not _CALL.search(value)


def _is_expression(value: str) -> bool:
    if _CALL.search(value) or _DOTTED.fullmatch(value):
        return True
    digits = any(c.isdigit() for c in value)
    return (value.isidentifier() or not digits) and _STEM_INSIDE.search(value) is not None


def _accepts_hint(place: Place, value: str, _upper: bool) -> bool:
    return place is not Place.WORD and is_long_and_random(value)


def is_long_and_random(value: str) -> bool:
    """Tells whether a value is random beyond doubt, and no digest, UUID or path."""
    return (
        24 <= len(value) <= 512
        and is_scrambled(value, least=24)
        and character_classes(value) >= 3
        and entropy(value) >= 3.8
        and not any(is_hex(part) for part in re.split(r"[-_.:]", value) if len(part) >= 32)
        and not is_uuid(value)
        and not is_path(value)
        and not value.startswith(_PUBLIC_DER)
    )


_ACCEPTS: Final = {
    Class.PASSWORD: _accepts_password,
    Class.SECRET: _accepts_secret,
    Class.TOKEN: _accepts_token,
    Class.HINT: _accepts_hint,
}
