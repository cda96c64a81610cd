"""A recursive grammar: a made-up language with its verbs and relative clauses at the end, and English.

    source                                       target
    S    → NP NP V [ADV]                         NP V NP [ADV]
    NP   → [REL] [ADJ] NOUN [sa | pi]            the [ADJ] NOUN [REL]
    REL  → NP V ru                               that V NP          (NP is the object)
    REL  → NP V ro                               that NP V          (NP is the subject)

So words move over any distance, clauses nest, and a verb agrees with a noun that may stand many words before it. `sa`
marks a singular noun, `pi` a plural one. A noun without a mark has each number with the probability ½, and its verb
follows: a source with k such nouns has 2^k translations. After an own word "dogs" the right verb is another one than
the reference's.

The source can be read in one way only: words in postfix order, each with a known number of arguments.
"""

import math
import random
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

NOUNS = {
    "kamo": "dog", "tiru": "cat", "belu": "bird", "sona": "child", "miko": "farmer", "lura": "teacher",
    "pano": "painter", "deki": "doctor", "vomi": "singer", "rasu": "king", "feto": "horse", "gani": "fox",
    "holu": "pilot", "juma": "nurse", "zeno": "lawyer", "wika": "writer",
}  # fmt: skip
VERBS = {
    "akar": "see", "edor": "help", "imur": "like", "obel": "follow", "udan": "hear", "arif": "know",
    "esol": "call", "itan": "hate", "omir": "fear", "uveg": "need",
}  # fmt: skip
ADJECTIVES = {"bo": "old", "ke": "small", "li": "happy", "mu": "tall", "ny": "quiet", "so": "red"}
ADVERBS = {"tak": "today", "nun": "now", "hir": "here", "ofe": "often"}
_NOUNS, _VERBS, _ADJECTIVES, _ADVERBS = (list(each) for each in (NOUNS, VERBS, ADJECTIVES, ADVERBS))
_PLURALS = {"child": "children", "fox": "foxes"}  # the others have an s
SINGULAR, PLURAL = MARKS = ("sa", "pi")
OBJECT, SUBJECT = RELATIVES = ("ru", "ro")  # what the noun phrase in a relative clause is
SHORTEST = 5  # words of a target: the N V the N
_CLAUSE = 4  # words of a target that a relative clause adds: that V the N


class _Number(NamedTuple):
    """A word that depends on the number of a noun."""

    noun: int
    singular: str
    plural: str


class _Phrase(NamedTuple):
    """A noun phrase: its words in the target, and the noun that its verb agrees with."""

    words: tuple["str | _Number", ...]
    noun: int


class _Template(NamedTuple):
    """What the translations of a source have in common.

    Attributes:
        words: the words of the target.
        numbers: whether each noun is plural; None: the source does not say.
    """

    words: list[str | _Number]
    numbers: list[bool | None]

    def written(self, numbers: Sequence[bool]) -> str:
        """The translation with these numbers of the nouns."""
        return " ".join(
            word if isinstance(word, str) else word.plural if numbers[word.noun] else word.singular
            for word in self.words
        )


class Clauses:
    """The distribution of translations, of every sentence of the grammar: exact, at any length."""

    def translations(self, source: str) -> list[str]:
        """All translations of a source, which are equally probable; empty if it is no sentence of the grammar."""
        template = _template(source)
        if template is None:
            return []
        choices = ((False, True) if number is None else (number,) for number in template.numbers)
        return [template.written(numbers) for numbers in product(*choices)]

    def next_words(self, source: str, prefix: Sequence[str]) -> dict[str, float]:
        """The probability of each word, or ``<eos>``, after a prefix of a translation; empty if the prefix has none."""
        template = _template(source)
        if template is None or len(prefix) > len(template.words):
            return {}
        numbers = list(template.numbers)
        for said, word in zip(prefix, template.words, strict=False):
            following = _following(word, numbers)
            if said not in following:
                return {}
            if isinstance(word, _Number):
                numbers[word.noun] = said == word.plural
        if len(prefix) == len(template.words):
            return {"<eos>": 1.0}
        return _following(template.words[len(prefix)], numbers)

    def draw(self, draw: random.Random, source: str) -> str:
        """One of the translations of a sentence of the grammar."""
        template = _read(source.split())
        return template.written([draw.random() < 0.5 if each is None else each for each in template.numbers])


def _following(word: str | _Number, numbers: Sequence[bool | None]) -> dict[str, float]:
    if isinstance(word, str):
        return {word: 1.0}
    plural = numbers[word.noun]
    if plural is None:
        return {word.singular: 0.5, word.plural: 0.5}
    return {word.plural if plural else word.singular: 1.0}


def sentence(draw: random.Random, length: int, ambiguous: int) -> str:
    """A random source, whose translations have ``length`` words, at least 5.

    Args:
        ambiguous: the most nouns without a mark of their number.
    """
    extra = length - SHORTEST
    clauses = extra // _CLAUSE
    # Of the extra words, some are adjectives and an adverb instead of clauses.
    fewest = math.ceil(max(0, extra - 3) / (_CLAUSE + 1))  # an adjective for each noun: two, and one a clause
    clauses = draw.randint(min(fewest, clauses), clauses)
    single = extra - _CLAUSE * clauses
    adverb = single > 0 and (single > clauses + 2 or draw.random() < 0.5)
    nouns = clauses + 2
    with_adjective = set(draw.sample(range(nouns), single - adverb))
    unmarked = set(draw.sample(range(nouns), draw.randint(0, min(ambiguous, nouns))))
    count = iter(range(nouns))

    def phrase(inside: int) -> list[str]:
        """A noun phrase with this number of relative clauses in it."""
        number = next(count)
        clause = []
        if inside:
            clause = [*phrase(inside - 1), _one(draw, _VERBS), _one(draw, RELATIVES)]
        adjective = [_one(draw, _ADJECTIVES)] if number in with_adjective else []
        mark = [] if number in unmarked else [_one(draw, MARKS)]
        return [*clause, *adjective, _one(draw, _NOUNS), *mark]

    first = draw.randint(0, clauses)
    words = [*phrase(first), *phrase(clauses - first), _one(draw, _VERBS)]
    return " ".join([*words, _one(draw, _ADVERBS)] if adverb else words)


def _one(draw: random.Random, words: Sequence[str]) -> str:
    return words[int(draw.random() * len(words))]  # twice as fast as `choice`


@lru_cache(maxsize=1 << 12)
def _template(source: str) -> _Template | None:
    try:
        return _read(source.split())
    except ValueError:
        return None


def _read(words: Sequence[str]) -> _Template:
    """What a source means.

    Raises:
        ValueError: the source is no sentence of the grammar.
    """
    stack: list[_Phrase] = []
    clause: tuple[str | _Number, ...] = ()  # of the next noun
    adjective: tuple[str, ...] = ()
    numbers: list[bool | None] = []
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word in NOUNS:
            number = None if not rest or rest[-1] not in MARKS else rest.pop() == PLURAL
            noun = _Number(len(numbers), NOUNS[word], _PLURALS.get(NOUNS[word], f"{NOUNS[word]}s"))
            stack.append(_Phrase(("the", *adjective, noun, *clause), len(numbers)))
            numbers.append(number)
            clause = adjective = ()
        elif word in ADJECTIVES and not adjective:
            adjective = (ADJECTIVES[word],)
        elif word in VERBS and stack and not adjective:
            if rest and rest[-1] in RELATIVES:
                if clause:
                    raise ValueError("a clause without its noun")
                clause = _clause(stack.pop(), VERBS[word], len(numbers), rest.pop())
            else:
                return _Template([*_main(stack, VERBS[word], clause), *_adverb(rest)], numbers)
        else:
            raise ValueError(f"{word} cannot stand here")
    raise ValueError("no verb of the sentence")


def _clause(phrase: _Phrase, verb: str, head: int, kind: str) -> tuple[str | _Number, ...]:
    """The relative clause of the noun `head`."""
    if kind == SUBJECT:
        return ("that", *phrase.words, _agreeing(verb, phrase.noun))
    return ("that", _agreeing(verb, head), *phrase.words)


def _main(stack: Sequence[_Phrase], verb: str, clause: tuple[str | _Number, ...]) -> list[str | _Number]:
    if len(stack) != 2 or clause:
        raise ValueError("a sentence has two noun phrases")
    subject, complement = stack
    return [*subject.words, _agreeing(verb, subject.noun), *complement.words]


def _adverb(rest: Sequence[str]) -> list[str]:
    if len(rest) > 1 or any(word not in ADVERBS for word in rest):
        raise ValueError("only an adverb can follow the verb")
    return [ADVERBS[word] for word in rest]


def _agreeing(verb: str, noun: int) -> _Number:
    return _Number(noun, f"{verb}s", verb)
