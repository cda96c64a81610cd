"""A small French–English grammar.

Its sentences say what someone (je, tu, il, …) is (tired, a baker, a famous painter, at home) or does (sings
outside). Adjectives and nouns agree with the person in gender and number, so the French cannot be translated word
by word. Some sentences have several translations, as in real corpora.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class _Person(NamedTuple):
    """The person that a sentence is about."""

    french: str
    english: str
    etre: str
    be: str
    ending: str  # the ending of a verb in -er
    feminine: bool
    plural: bool


class _Word(NamedTuple):
    """An adjective or a noun. In French it agrees with the person."""

    masculine: str
    feminine: str
    english: str  # synonyms are separated by "/"
    degree: bool = True  # whether an adjective can follow "very"


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

# Adjectives after the noun in French and before it in English.
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


def sentences() -> Iterator[tuple[str, str]]:
    """All pairs of French and English sentences, as written, of any length. Some appear more than once."""
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
    """Complements of "to be": adjectives, nouns and places, in French and English."""
    for adjective in _ADJECTIVES:
        french = _agree(adjective.masculine, adjective.feminine, person)
        for synonym in adjective.english.split("/"):
            for degree, english_degree in _DEGREES if adjective.degree else _DEGREES[:1]:
                yield degree + french, english_degree + synonym
    for noun in _NOUNS:
        yield _agree(noun.masculine, noun.feminine, person), _some(noun.english, person)
    yield from _PLACES


def _statements(person: _Person, french: str, english: str) -> Iterator[tuple[str, str]]:
    """A statement, and its exclamation or its negation where these are idiomatic."""
    yield _finish(f"{person.french} {person.etre} {french}"), _finish(f"{_is(person)} {english}")
    if french.startswith(("si ", "trop ")):
        # In English an exclamation is not contracted. In French a narrow no-break space precedes the mark.
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
    """Statements with an article, a noun and an epithet, such as "a famous baker"."""
    # In the third person French says "c’est un …", not "il est un …".
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
    """The contracted subject and verb: I'm, he's, you're."""
    return f"{person.english}'{person.be[1:]}"


def _elide(word: str, verb: str) -> str:
    return f"{word[:-1]}’{verb}" if word in ("je", "ne") and verb[0] in "aeéêi" else f"{word} {verb}"


def _finish(sentence: str, mark: str = ".") -> str:
    return sentence[0].upper() + sentence[1:] + mark


class Translations:
    """The distribution of translations: of a source, each pair is equally probable.

    Args:
        pairs: normalised sources and targets; a pair that appears twice is twice as probable.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._targets: dict[str, Counter[tuple[str, ...]]] = {}
        for source, target in pairs:
            self._targets.setdefault(source, Counter())[(*target.split(), "<eos>")] += 1

    def next_words(self, source: str, prefix: Sequence[str]) -> dict[str, float]:
        """The probability of each word that can follow a prefix of a translation; after its last word, of `<eos>`.

        Empty if the source is unknown or none of its translations begins with the prefix.
        """
        counts: Counter[str] = Counter()
        for words, count in self._targets.get(source, Counter()).items():
            if words[: len(prefix)] == tuple(prefix) and len(words) > len(prefix):
                counts[words[len(prefix)]] += count
        return {word: count / counts.total() for word, count in counts.items()}

    def translations(self, source: str) -> list[str]:
        """All translations of a source, in order of first appearance; empty if the source is unknown."""
        return [" ".join(words[:-1]) for words in self._targets.get(source, ())]
