"""Judgements about one value: is it a stand-in, is it code, does it look machine-made?

Rules find candidates by form and place; these pure functions decide whether the candidate
can be a secret. They look at the value alone.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Final

from memory_core.redaction.kinds import without_placeholders


def words(text: str) -> frozenset[str]:
    """Returns the set of a text's words; keeps long word lists readable."""
    return frozenset(text.split())


_STAND_IN_WORDS: Final = words(
    """
    password passwd passwort passphrase pass pwd pw secret secrets token tokens key apikey
    username user userpass admin_password root_password mypassword mysecret mytoken
    yourpassword yoursecret yourtoken yourkey somesecret
    null none nil true false undefined void empty nan yes no on off
    string str text number int integer bool boolean object array bytes char varchar any
    required optional invalid missing incorrect hidden masked visible current forgot
    forgotten expired encrypted hashed encoded plain plaintext wrong default disabled enabled
    inherit unknown unset prompt value email username login confirm submit reset change update
    changeme changeit change_me changethis replaceme replace_me fixme todo tbd dummy fake
    sample test testing foo bar baz foobar redacted removed omitted stripped hide
    """
)
_STAND_IN_PART: Final = re.compile(
    r"example|x{4,}|\*{3,}|\.{3,}|\u2026|\u2022{2,}|0{12,}|#{4,}|\?{4,}"
    r"|(?:^|[^a-z])your(?:[-_ ]?[a-z]|$)|[-_]here(?:$|[^a-z])|(?:change|replace)[-_ ]?(?:me|this)"
    r"|environ\b|process\.env|getenv\(|^(?:ENC\[|(?:arn|env|file|op|ref|ssm|vault):)"
    r"|placeholder|(?:^|[-_])(?:dummy|fake|redacted|insert)(?:$|[-_])",
    re.IGNORECASE,
)
_TEMPLATE: Final = re.compile(
    r"""
      \$\{[^}]*\}? | \$\$?\([^)]*\)? | \$[A-Za-z_]\w*\}? | \$\d      # shell, PHP, make
    | (?:%[sdr]|[^\w\s])+ | %\w+% | %\(?\w*\)?[sdr] | %[A-Z_]+           # Windows, printf
    | \{\{.*\}?\}? | \{[\w.\[\]()'"!: ]*\} | \#\{.*\}? | @\{.*\}?      # templates
    | <[^>]*>? | \[[A-Za-z][A-Za-z _-]*\]? | `[^`]*`?                        # <your key>
    | &\w+; | !\w+(?:\s.*)?                                            # entities, YAML tags
    """,
    re.VERBOSE,
)
_INTERPOLATION: Final = re.compile(
    r"\$\{\{?[^}]{0,80}\}|\$\([^)]{0,80}\)|\{\{[^}]{0,80}\}\}|\#\{[^}]{0,80}\}|<[a-z][\w -]{1,40}>"
    r"|\{[a-z_][\w.]{0,60}\}"
)
_PATTERN: Final = re.compile(r"\[[^\]]*-[^\]]*\]|\(\?|\\[wWdDsSb]|[)\]}.][*+?]|\|.*\|")
_CODE: Final = re.compile(
    r"""
      [A-Za-z_$@*&!][\w$]*[?!]?(?:(?:\.|->|::|\?\.)[A-Za-z_$][\w$]*[?!]?)*   # name, a.b, a::b
      (?:(?:->)?[(\[<{].*|\|.*|\?.*)?                                  # call, index, generic
    | [-+*/%&|^=!<>.]+.* | .*(?:=>|&&|\|\||\(\)).*
    """,
    re.VERBOSE | re.DOTALL,
)
_PATH: Final = re.compile(r"(?:\.{0,2}|~|[A-Za-z]:)?[/\\][\w.@+ ~%\\-]*(?:/[\w.@+ ~%-]+)*/?")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX: Final = re.compile(r"(?:0x)?[0-9a-fA-F]+")
_TRANSITION: Final = re.compile(r"[a-z](?=[A-Z0-9])|[0-9](?=[A-Za-z])|[A-Z](?=[0-9])")
_LETTERS: Final = re.compile(r"[a-z]{2,}")
_COMMON_PAIRS: Final = words(
    """
    th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve
    co me de hi ri ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no
    ct us ac ot il tr ly nc et ut ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts
    mo ow pa im mi ai sh ir su id os iv ia am fi ci vi pl ig tu ev ld ry mp ke ey
    """
)
_MACHINE_MADE: Final = re.compile(r"[A-Za-z0-9+/=_.~%:-]+")


def is_stand_in(value: str) -> bool:
    """Tells whether a value only marks where a secret would stand.

    True for documented examples, words such as ``changeme``, templates such as ``${VAR}``
    and ``<your-key>``, runs of ``x`` or ``*``, and earlier placeholders.
    """
    rest = without_placeholders(value)
    if len(rest) != len(value):
        rest = rest.strip("\"' \\;,")
    return (
        not rest
        or rest.lower().strip("-_.!?") in _STAND_IN_WORDS
        or len(set(rest)) == 1
        or _STAND_IN_PART.search(rest) is not None
        or _TEMPLATE.fullmatch(rest) is not None
        or _INTERPOLATION.search(rest) is not None
    )


def is_code(value: str) -> bool:
    """Tells whether an unquoted value reads as an expression: a name, a call, an operator."""
    return _CODE.fullmatch(value) is not None


def is_pattern(value: str) -> bool:
    """Tells whether a value reads as a regular expression."""
    return _PATTERN.search(value) is not None


def is_path(value: str) -> bool:
    """Tells whether a value is a file path or starts a URL without a password."""
    return _PATH.fullmatch(value) is not None or "://" in value


def is_uuid(value: str) -> bool:
    """Tells whether a value has the form of a UUID."""
    return _UUID.fullmatch(value) is not None


def is_hex(value: str) -> bool:
    """Tells whether a value consists of hexadecimal digits only, as a digest does."""
    return _HEX.fullmatch(value) is not None


def character_classes(value: str) -> int:
    """Counts which of lower case, upper case, digit and other occur (0 to 4)."""
    return (
        any(c.islower() for c in value)
        + any(c.isupper() for c in value)
        + any(c.isdigit() for c in value)
        + any(not c.isalnum() for c in value)
    )


def entropy(value: str) -> float:
    """Returns the Shannon entropy of the value's characters, in bits per character.

    ``H = -sum(p_i * log2(p_i))`` over the frequencies p_i (Shannon, 1948).
    """
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values()) if size else 0.0


def is_scrambled(value: str, *, least: int = 16, share: float = 0.2) -> bool:
    """Tells whether a value looks machine-made: letters, digits and cases thrown together.

    A random string changes between lower case, upper case and digits at every second or
    third character (base62 45 %, hex 47 %, base36 40 %); a name made of words does at its
    humps only. Where chance made few such changes, the pairs of its letters are still not
    those of words. Entropy alone cannot tell the two apart at these lengths.

    Args:
        value: the candidate.
        least: the smallest length taken for machine-made.
        share: the smallest share of characters after which the class changes.
    """
    if len(value) < least or _MACHINE_MADE.fullmatch(value) is None:
        return False
    letters = sum(c.isalpha() for c in value)
    if letters * 8 < len(value) or len(set(value)) < min(7, least) or entropy(value) < 2.5:
        return False
    changes = sum(1 for _ in _TRANSITION.finditer(value))
    if changes >= share * (len(value) - 1) and any(c.isdigit() for c in value):
        return True
    return changes >= 2 and not has_pairs_of_words(value)


def has_pairs_of_words(value: str) -> bool:
    """Tells whether the letters follow one another as in English words.

    The pairs listed make up about four fifths of running English, and a sixth of random text.
    """
    pairs = [
        pair for run in _LETTERS.findall(value.lower()) for pair in map("".join, pairwise(run))
    ]
    common = sum(pair in _COMMON_PAIRS for pair in pairs)
    return len(pairs) < 6 or common >= 0.3 * len(pairs)


def is_mixed(value: str) -> bool:
    """Tells whether a value mixes letters with digits or signs, as passwords do."""
    plain = value.strip("-_.")
    has_letter = any(c.isalpha() for c in plain)
    return has_letter and any(not c.isalpha() and c not in "-_.' " for c in plain)
