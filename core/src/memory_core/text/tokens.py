"""Terms of prose and of code, the same for what is indexed and for what is asked.

A *raw token* is a run of word characters, possibly joined by the marks that join names in
code (``lib/session_live.ex``, ``LLMChain.run/2``, ``--no-start``, ``1.5.9``). It gives

- one stemmed term if it is a plain word,
- else its parts, stemmed, **and** every joined form from the whole down (``llmchain.run/2``,
  ``llmchain.run``, ``llmchain``, ``llm``, ``chain``, ``run``), so that it is found by its exact
  name, by its last path component and by its words.

Scripts written without spaces between words (Han, Kana, Thai, …) and Hangul give overlapping
pairs of characters, the usual stand-in for a dictionary.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from memory_core.text.stemming import stem
from memory_core.text.stopwords import STEMMED_STOP_WORDS, STOP_WORDS

MAX_TOKENS = 20_000
"""Terms taken from one text at most; what follows is not indexed."""

_MAX_TEXT = 400_000
_MAX_RAW = 512
_MAX_TERM = 96
_HEX_PREFIX = 7  # what `git log --oneline` shows of a commit

# Marks are no word characters to `re`, yet Indic, Arabic and Hebrew words contain them.
_WORD = r"(?:\w|[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0dff])"
_RUN = rf"\w{_WORD}*"
_RAW = re.compile(rf"{_RUN}(?:[./\\:@#'\u2019+~-]{{1,3}}{_RUN})*(?:(?:\+\+|#)(?![\w+#]))?")
_APOSTROPHE = re.compile(r"['\u2019]")
_POSSESSIVE = re.compile(r"['\u2019][sS](?=$|[^\w])")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_HEX = re.compile(r"(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,64}\Z")
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
# Outermost first: each level gives its joined form and is then taken apart further.
_LEVELS = (re.compile(r"[:@#+~]+"), re.compile(r"[/\\]+"), re.compile(r"\.+"), re.compile(r"[-_]+"))


class Term(NamedTuple):
    """A term and whether it is the exact, joined form of a name in code."""

    text: str
    exact: bool


def tokenize(text: str) -> list[str]:
    """Returns the terms of ``text`` in order, repeats included, at most ``MAX_TOKENS``.

    Never fails: lone surrogates, NUL and megabytes without a space are only bounded.
    """
    terms: list[str] = []
    for raw in raw_tokens(text):
        terms.extend(term.text for term in expand(raw))
        if len(terms) >= MAX_TOKENS:
            del terms[MAX_TOKENS:]
            break
    return terms


def raw_tokens(text: str) -> list[str]:
    """Returns the runs of characters that `expand` turns into terms, in order."""
    return _RAW.findall(_normalise(text[:_MAX_TEXT]))


def query_terms(text: str) -> list[Term]:
    """Returns the distinct terms of a query in order, without stop words.

    A query of nothing but stop words keeps them, so that it has something to match.
    """
    found: dict[str, Term] = {}
    for raw in raw_tokens(text):
        for term in expand(raw):
            known = found.get(term.text)
            if known is None or (term.exact and not known.exact):
                found[term.text] = term
    content = [term for term in found.values() if term.exact or term.text not in _STOPPED]
    return content or list(found.values())


def is_stop_word(term: str) -> bool:
    """Tells whether a term (stemmed, lower case) carries no meaning in a query."""
    return term in _STOPPED


def _normalise(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def expand(raw: str) -> tuple[Term, ...]:
    """Returns the terms of a raw token, the joined form of a name before its parts."""
    # Only short tokens are worth remembering, and only they come back.
    return _expand(raw) if len(raw) <= _MAX_TERM else _expand.__wrapped__(raw[:_MAX_RAW])


@lru_cache(maxsize=131_072)
def _expand(raw: str) -> tuple[Term, ...]:
    if raw.isascii() and raw.isalpha() and (raw.islower() or raw[1:].islower()):
        return (Term(stem(raw.lower()), exact=False),)
    if _UNSPACED.search(raw):
        return tuple(_unspaced(raw))
    bare = _APOSTROPHE.sub("", _POSSESSIVE.sub("", raw))
    parts: list[Term] = []
    if bare[-1:] in ("+", "#"):  # C++, F#
        parts.append(Term(_fold(bare)[:_MAX_TERM], exact=True))
    _take_apart(bare, 0, parts)
    return tuple(parts)


def _take_apart(name: str, level: int, into: list[Term]) -> None:
    while level < len(_LEVELS):
        pieces = [piece for piece in _LEVELS[level].split(name) if piece]
        level += 1
        if len(pieces) > 1:
            into.append(Term(_fold(name).strip("/\\.")[:_MAX_TERM], exact=True))
            for piece in pieces:
                # A single letter or digit of a longer name says nothing alone.
                if len(piece) > 1:
                    _take_apart(piece, level, into)
            return
        name = pieces[0] if pieces else ""
    if name:
        _take_apart_camel(name, into)


def _take_apart_camel(name: str, into: list[Term]) -> None:
    folded = _fold(name)
    words = _CAMEL.findall(name) if name.isascii() else []
    if len(words) <= 1:
        into.append(Term(stem(folded)[:_MAX_TERM], exact=False))
        return
    # Stemmed like the plain word that it is when somebody writes it in lower case.
    into.append(Term(stem(folded)[:_MAX_TERM], exact=True))
    if _HEX.match(folded):
        if len(folded) > _HEX_PREFIX:
            into.append(Term(folded[:_HEX_PREFIX], exact=True))
        return
    into.extend(Term(stem(_fold(word)), exact=False) for word in words if len(word) > 1)


def _fold(word: str) -> str:
    lowered = word.casefold()
    if lowered.isascii():
        return lowered
    # "café" and "cafe" are one word; marks of other scripts change the word and stay.
    plain = "".join(
        c for c in unicodedata.normalize("NFD", lowered) if not unicodedata.combining(c)
    )
    return plain if plain and plain.isascii() else lowered


def _unspaced(raw: str) -> list[Term]:
    terms: list[Term] = []
    end = 0
    for run in _UNSPACED.finditer(raw):
        if run.start() > end:
            _take_apart(raw[end : run.start()], 0, terms)
        text, end = run.group(), run.end()
        pairs = [text[i : i + 2] for i in range(len(text) - 1)] or [text]
        terms.extend(Term(pair, exact=False) for pair in pairs)
    if end < len(raw):
        _take_apart(raw[end:], 0, terms)
    return terms


# Stop words meet terms after stemming, so both forms are kept.
_STOPPED = STOP_WORDS | STEMMED_STOP_WORDS
