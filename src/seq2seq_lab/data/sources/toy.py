"""A small French–English grammar: a corpus that needs no file and takes no time.

Someone (je, tu, il, …) is something (tired, a baker, a famous painter, at home) or does something (sings
outside). Adjectives and nouns agree with whom they are about, so the French cannot be read word by word,
and some sentences have several translations, as in real corpora.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.text import Normalisation, words
from seq2seq_lab.errors import UserError

_MAX_WORDS = 6  # on each side, as in the seminar


class _Person(NamedTuple):
    """Whom a sentence is about."""

    french: str
    english: str
    etre: str
    be: str
    ending: str  # of a verb in -er
    feminine: bool
    plural: bool


class _Word(NamedTuple):
    """An adjective or a noun, which agrees in French."""

    masculine: str
    feminine: str
    english: str  # a "/" between synonyms
    degree: bool = True  # of an adjective: whether one can be very so


_PERSONS = [
    _Person("je", "I", "suis", "am", "e", False, False),
    _Person("je", "I", "suis", "am", "e", True, False),
    _Person("tu", "you", "es", "are", "es", False, False),
    _Person("tu", "you", "es", "are", "es", True, False),
    _Person("il", "he", "est", "is", "e", False, False),
    _Person("elle", "she", "est", "is", "e", True, False),
    _Person("nous", "we", "sommes", "are", "ons", False, True),
    _Person("nous", "we", "sommes", "are", "ons", True, True),
    _Person("vous", "you", "êtes", "are", "ez", False, False),
    _Person("vous", "you", "êtes", "are", "ez", True, False),
    _Person("vous", "you", "êtes", "are", "ez", False, True),
    _Person("vous", "you", "êtes", "are", "ez", True, True),
    _Person("ils", "they", "sont", "are", "ent", False, True),
    _Person("elles", "they", "sont", "are", "ent", True, True),
]

_ADJECTIVES = [
    _Word("fatigué", "fatiguée", "tired"),
    _Word("heureux", "heureuse", "happy/glad"),
    _Word("triste", "triste", "sad"),
    _Word("grand", "grande", "tall"),
    _Word("petit", "petite", "short/small"),
    _Word("vieux", "vieille", "old"),
    _Word("jeune", "jeune", "young"),
    _Word("fort", "forte", "strong"),
    _Word("faible", "faible", "weak"),
    _Word("gentil", "gentille", "kind/nice"),
    _Word("méchant", "méchante", "mean"),
    _Word("timide", "timide", "shy"),
    _Word("paresseux", "paresseuse", "lazy"),
    _Word("jaloux", "jalouse", "jealous"),
    _Word("nerveux", "nerveuse", "nervous"),
    _Word("inquiet", "inquiète", "worried"),
    _Word("fier", "fière", "proud"),
    _Word("prudent", "prudente", "careful/cautious"),
    _Word("curieux", "curieuse", "curious"),
    _Word("malade", "malade", "sick/ill"),
    _Word("généreux", "généreuse", "generous"),
    _Word("loyal", "loyale", "loyal"),
    _Word("discret", "discrète", "discreet"),
    _Word("naïf", "naïve", "naive"),
    _Word("épuisé", "épuisée", "exhausted", degree=False),
    _Word("marié", "mariée", "married", degree=False),
    _Word("perdu", "perdue", "lost", degree=False),
    _Word("prêt", "prête", "ready", degree=False),
    _Word("seul", "seule", "alone", degree=False),
    _Word("assis", "assise", "seated", degree=False),
    _Word("réveillé", "réveillée", "awake", degree=False),
]

# These follow the noun in French and precede it in English.
_EPITHETS = [
    _Word("célèbre", "célèbre", "famous"),
    _Word("honnête", "honnête", "honest"),
    _Word("courageux", "courageuse", "brave"),
    _Word("sérieux", "sérieuse", "serious"),
    _Word("français", "française", "French"),
    _Word("italien", "italienne", "Italian"),
    _Word("génial", "géniale", "brilliant"),
]

_NOUNS = [
    _Word("boulanger", "boulangère", "baker"),
    _Word("musicien", "musicienne", "musician"),
    _Word("danseur", "danseuse", "dancer"),
    _Word("avocat", "avocate", "lawyer"),
    _Word("étudiant", "étudiante", "student"),
    _Word("infirmier", "infirmière", "nurse"),
    _Word("fermier", "fermière", "farmer"),
    _Word("écrivain", "écrivaine", "writer"),
    _Word("dentiste", "dentiste", "dentist"),
    _Word("artiste", "artiste", "artist"),
]

_DEGREES = [
    ("", ""),
    ("très ", "very "),
    ("si ", "so "),
    ("trop ", "too "),
    ("assez ", "quite "),
    ("un peu ", "a bit "),
]

_PLACES = [
    ("ici", "here"),
    ("à la maison", "at home"),
    ("à Paris", "in Paris"),
    ("dans le jardin", "in the garden"),
    ("à l’école", "at school"),
    ("en retard", "late"),
    ("en colère", "angry"),
    ("en avance", "early"),
    ("en vacances", "on holiday"),
]

# The stem of a verb in -er, and the English participle.
_VERBS = [
    ("chant", "singing"),
    ("travaill", "working"),
    ("dans", "dancing"),
    ("mang", "eating"),
    ("nag", "swimming"),
    ("cuisin", "cooking"),
    ("dessin", "drawing"),
    ("rêv", "dreaming"),
    ("jou", "playing"),
    ("étudi", "studying"),
    ("écout", "listening"),
]

_CIRCUMSTANCES = [
    ("", ""),
    (" ici", " here"),
    (" maintenant", " now"),
    (" dehors", " outside"),
    (" ce soir", " tonight"),
    (" avec lui", " with him"),
    (" avec elle", " with her"),
    (" dans le jardin", " in the garden"),
]


@dataclass(frozen=True, kw_only=True)
class ToyCorpus:
    """The recipe for the embedded corpus: French to English, at most six words on each side.

    The same settings give the same pairs, in the same order, on every machine.

    Args:
        pairs: how many of the grammar's pairs to draw.
        seed: of the draw.

    Raises:
        UserError: ``pairs`` is less than 1.
    """

    pairs: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise UserError(f"data.pairs={self.pairs}: it should be 1 or more")

    def load(self) -> Corpus:
        """Make the corpus.

        Raises:
            UserError: the grammar has fewer pairs than asked for.
        """
        normalise = Normalisation()
        sentences = list(dict.fromkeys(_sentences()))
        french, english = (normalise.lines(side) for side in zip(*sentences, strict=True))
        # "Heureux" is one and many, and "tu" is he and she: sentences that come out equal count once.
        pairs = list(dict.fromkeys(pair for pair in zip(french, english, strict=True) if _fits(pair)))
        if self.pairs > len(pairs):
            raise UserError(f"data.pairs={self.pairs}: the grammar has only {len(pairs):,}")
        drawn = random.Random(self.seed).sample(pairs, self.pairs)
        return Corpus.build(
            [source for source, _ in drawn],
            [target for _, target in drawn],
            archive_pairs=len(sentences),
            normalise=normalise,
            origin=f"{self.pairs:,} of the {len(pairs):,} pairs of the embedded French–English grammar",
        )


def _fits(pair: tuple[str, str]) -> bool:
    return all(len(words(side)) <= _MAX_WORDS for side in pair)


def _sentences() -> Iterator[tuple[str, str]]:
    """Raw French and English sentences of any length, some of them more than once."""
    for person in _PERSONS:
        for french, english in _attributes(person):
            yield from _statements(person, french, english)
        yield from _introductions(person)
        for stem, participle in _VERBS:
            soft = "e" if stem.endswith("g") and person.ending == "ons" else ""  # nous mangeons
            verb = stem + soft + person.ending
            for french, english in _CIRCUMSTANCES:
                yield (
                    _finish(_elide(person.french, verb) + french),
                    _finish(_is(person) + f" {participle}{english}"),
                )
            yield (
                _finish(f"{person.french} {_elide('ne', verb)} pas"),
                _finish(f"{_is(person)} not {participle}"),
            )


def _attributes(person: _Person) -> Iterator[tuple[str, str]]:
    """What someone can be said to be, and how it reads in English."""
    for adjective in _ADJECTIVES:
        french = _agree(adjective.masculine, adjective.feminine, person)
        for synonym in adjective.english.split("/"):
            for degree, english_degree in _DEGREES if adjective.degree else _DEGREES[:1]:
                yield degree + french, english_degree + synonym
    for noun in _NOUNS:
        yield _agree(noun.masculine, noun.feminine, person), _some(noun.english, person)
    yield from _PLACES


def _statements(person: _Person, french: str, english: str) -> Iterator[tuple[str, str]]:
    """Say it; exclaim it, or deny it, where that can be said."""
    yield _finish(f"{person.french} {person.etre} {french}"), _finish(f"{_is(person)} {english}")
    if french.startswith(("si ", "trop ")):
        # Who exclaims stresses the verb. French typography sets the mark off by a narrow no-break space.
        yield (
            _finish(f"{person.french} {person.etre} {french}", "\u202f!"),
            _finish(f"{person.english} {person.be} {english}", "!"),
        )
    elif not french.startswith(("très ", "assez ", "un peu ")):
        yield (
            _finish(f"{person.french} {_elide('ne', person.etre)} pas {french}"),
            _finish(f"{_is(person)} not {english}"),
        )


def _introductions(person: _Person) -> Iterator[tuple[str, str]]:
    """An article, a noun and an epithet: a famous baker."""
    # French introduces a third person by "ce": "c’est un …", never "il est un …".
    third = {"est": "c’est", "sont": "ce sont"}
    subject = third.get(person.etre, f"{person.french} {person.etre}")
    article = "des" if person.plural else _agree("un", "une", person)
    for noun in _NOUNS:
        for epithet in _EPITHETS:
            named = _agree(noun.masculine, noun.feminine, person)
            described = _agree(epithet.masculine, epithet.feminine, person)
            english = _some(f"{epithet.english} {noun.english}", person)
            yield _finish(f"{subject} {article} {named} {described}"), _finish(f"{_is(person)} {english}")


def _agree(masculine: str, feminine: str, person: _Person) -> str:
    word = feminine if person.feminine else masculine
    if not person.plural or word.endswith(("s", "x")):
        return word
    return f"{word[:-1]}ux" if word.endswith("al") else f"{word}s"


def _some(noun: str, person: _Person) -> str:
    """An English noun with its indefinite article, or in the plural."""
    if person.plural:
        return f"{noun}s"
    return f"{'an' if noun.startswith(('a', 'e', 'i', 'I', 'o', 'honest')) else 'a'} {noun}"


def _is(person: _Person) -> str:
    """Who is: I'm, he's, you're."""
    return f"{person.english}'{person.be[1:]}"


def _elide(word: str, verb: str) -> str:
    return f"{word[:-1]}’{verb}" if word in ("je", "ne") and verb[0] in "aeéêi" else f"{word} {verb}"


def _finish(sentence: str, mark: str = ".") -> str:
    return sentence[0].upper() + sentence[1:] + mark
