"""Synthetic messages of developers and their agents, the same for the same seed.

Words are drawn with Zipf's frequencies from 24,000: common English and programming words first,
then names of code made of them, and made-up names of libraries and services. A session has a
topic: words that are rare elsewhere and frequent in it, as in real work.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 24_000
SESSION_MESSAGES = 60
TOPIC_WORDS = 40
TOPIC_SHARE = 0.15
EXPONENT = 1.1
COMMON = (
    "the to a of in and is we it for that this on with was as be not from by now so if when are"
    " an but has then after because which only before same there also all at one no will can"
    " should still more into does did have had its test fails file build change error code call"
    " function returns value line add fix run check branch commit main type field name path list"
    " key user data table column index query cache request response server client token session"
    " message event log state config setting default option flag version release migration schema"
    " parser buffer queue worker thread lock timeout retry batch stream page cursor limit offset"
    " import module package class method argument result output input string number null empty"
    " first last next old new wrong right missing broken slow fast large small again once never"
    " always reads writes raises passes expects keeps drops moves splits merges loads saves sends"
    " receives parses builds deploys reverts renames removes replaces wraps catches skips counts"
)
VERBS = (
    "get set load save parse build make find read write send open close start stop check merge"
    " split apply drop count list sort wrap push pull sync fetch store match render encode decode"
    " validate resolve register schedule format compile index hash sign verify import export"
)
NOUNS = (
    "user token session message event log state config option version schema parser buffer queue"
    " worker thread lock timeout retry batch stream page cursor limit import module package field"
    " result output input table column index query cache request response server client record"
    " chunk vector window score project remote branch commit file path line header body cookie"
    " route handler filter template widget panel button modal theme locale invoice order payment"
    " account tenant role policy secret webhook job task report chart metric alert backup snapshot"
    " replica shard cluster node pod image volume bucket socket channel topic digest checksum"
)
SYLLABLES = "ba ra ko li ven tor mi sa du pel qua ri no fen gra zi lo mar tu hel ox ni cas bri"
QUESTIONS = (
    "why did we change {0} in {1}",
    "how did we fix the {0} error in {1}",
    "what was decided about {0} and {1} {2}",
    "where is {0} used with {1}",
    "which test fails when {0} {1} is missing",
    "what did we say last week about {0} {1}",
    "{0} {1} {2}",
    "when did we move {0} to {1} because of {2}",
)


@dataclass(frozen=True)
class Message:
    """One message, and the rare words that a question about it could name."""

    text: str
    rare: tuple[str, ...]


def vocabulary(seed: int = 1) -> list[str]:
    """Returns the words by falling frequency, all different."""
    rng = np.random.default_rng(seed)
    verbs, nouns = VERBS.split(), NOUNS.split()
    names = [f"{verb}_{noun}" for verb, noun in itertools.product(verbs, nouns)]
    names += [a.title() + b.title() for a, b in itertools.product(nouns, nouns)]
    names += [f"src/{a}/{b}.py" for a, b in itertools.product(nouns[:40], verbs)]
    made_up = ["".join(parts) for parts in itertools.product(SYLLABLES.split(), repeat=3)]
    rng.shuffle(names)
    rng.shuffle(made_up)
    rare = names[:13_000] + made_up[:12_000]
    rng.shuffle(rare)
    return list(dict.fromkeys([*COMMON.split(), *verbs, *nouns, *rare]))[:VOCABULARY]


class Corpus:
    """An endless sequence of sessions of messages, and questions about them."""

    def __init__(self, seed: int = 1, *, words: tuple[int, int] = (40, 150)) -> None:
        """Messages have ``words`` words, least and most."""
        self._rng = np.random.default_rng(seed)
        self._words = np.array(vocabulary(), dtype=object)
        weights = (np.arange(self._words.size) + 2.7) ** -EXPONENT
        self._cumulated = np.cumsum(weights / weights.sum())
        self._least, self._most = words

    def sessions(self) -> Iterator[list[Message]]:
        """Yields sessions without end."""
        while True:
            topic = self._rng.integers(300, self._words.size, TOPIC_WORDS)
            yield [self._message(topic) for _ in range(SESSION_MESSAGES)]

    def texts(self, count: int) -> list[str]:
        """Returns the texts of the next ``count`` messages."""
        messages = itertools.chain.from_iterable(self.sessions())
        return [message.text for message in itertools.islice(messages, count)]

    def question(self, message: Message) -> str:
        """Returns a question that the message could answer."""
        form = QUESTIONS[int(self._rng.integers(len(QUESTIONS)))]
        named = self._rng.choice(np.array(message.rare, dtype=object), 3, replace=False)
        return form.format(*named)

    def _message(self, topic: NDArray[np.int64]) -> Message:
        count = int(self._rng.integers(self._least, self._most + 1))
        drawn = np.searchsorted(self._cumulated, self._rng.random(count))
        on_topic = self._rng.random(count) < TOPIC_SHARE
        # The first few words of a topic are its main ones.
        place = np.minimum(self._rng.geometric(0.12, count) - 1, TOPIC_WORDS - 1)
        drawn = np.where(on_topic, topic[place], np.minimum(drawn, self._words.size - 1))
        words = self._words[drawn].tolist()
        rarest = self._words[np.unique(drawn)[::-1]].tolist()
        rare = tuple(rarest[: max(8, count // 5)])
        pieces, start = [], 0
        while start < count:
            length = int(self._rng.integers(7, 19))
            sentence = " ".join(words[start : start + length])
            pieces.append(sentence[:1].upper() + sentence[1:] + ".")
            start += length
        return Message(" ".join(pieces), rare)
