"""English words that say nothing about what a query is about.

The list is applied to queries, never to what is indexed, so a query of nothing but such
words ("what did we do") can still be answered by its words. It holds function words and the
verbs of asking ("tell", "mention"), in the form that the tokenizer gives them: lower case,
apostrophes gone. Words that name things in code are left out on purpose even where general
lists have them: "error", "use", "value", "first", "new", "set", "get", "run".
"""

from __future__ import annotations

_ARTICLES_AND_PRONOUNS = """
a an the this that these those i me my mine myself we us our ours ourselves you your yours
yourself yourselves he him his himself she her hers herself it its itself they them their
theirs themselves one ones someone somebody something anyone anybody anything everyone
everybody everything nobody nothing none each every either neither both all any some such
other others another same own
"""

_VERBS = """
am is are was were be been being have has had having do does did doing done can could may
might must shall should will would ought need needs needed let lets get gets got getting
go goes going went gone come comes came say says said saying tell tells told ask asks asked
mention mentions mentioned talk talks talked discuss discussed know knows knew known think
thinks thought want wants wanted like likes liked seem seems seemed happen happens happened
make makes made take takes took taken give gives gave given
"""

_QUESTION_WORDS = """
what which who whom whose when where why how whether whatever whichever whoever whenever
wherever however
"""

_PREPOSITIONS_AND_CONJUNCTIONS = """
about above across after against along among around as at because before behind below beneath
beside besides between beyond but by despite down during except for from in inside into near
of off on onto out outside over per since than through throughout till to toward towards
under until up upon via with within without and or nor so yet if unless though although while
then else once
"""

_ADVERBS = """
again ago almost already also always anyway away even ever far further hence here
just later least less likely many maybe more most much never no nor not now often only perhaps
please quite rather really sometimes soon still there thereby therefore thus together too very
well yes ok okay actually basically certainly exactly generally probably simply usually
"""

_CONTRACTIONS = """
im ive id ill youre youve youd youll hes hed shes shed its weve wed theyre theyve theyd
theyll thats whats whos wheres whens whys hows theres heres isnt arent wasnt werent havent
hasnt hadnt dont doesnt didnt cant cannot couldnt mustnt shant shouldnt wont wouldnt neednt
s t d ll m re ve etc eg ie vs
"""

_LISTS = (
    _ARTICLES_AND_PRONOUNS,
    _VERBS,
    _QUESTION_WORDS,
    _PREPOSITIONS_AND_CONJUNCTIONS,
    _ADVERBS,
    _CONTRACTIONS,
)

STOP_WORDS: frozenset[str] = frozenset(word for words in _LISTS for word in words.split())

_STEMMED = """
abov actual alreadi alway ani anoth anybodi anyon anyth basic becaus befor besid certain despit
doe dure els everi everybodi everyon everyth exact general goe henc howev insid mani mayb nobodi
noth onc onli ourselv outsid perhap pleas probabl quit realli simpli sinc somebodi someon someth
sometim themselv therebi therefor theyr theyv togeth usual veri whatev whenev wherev whi whichev
yourselv youv
"""

STEMMED_STOP_WORDS = frozenset(_STEMMED.split())
"""What the stemmer makes of them, where that is another word.

Written down, because computing it is felt at the start of every command that searches.
"""
