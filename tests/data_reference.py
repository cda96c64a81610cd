"""The seminar's preparation of its data, implemented literally: line by line."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

SEMINAR_PREFIXES = (
    "i am ", "i m ", "he is", "he s ", "she is", "she s ",
    "you are", "you re ", "we are", "we re ", "they are", "they re ",
)  # fmt: skip


# A small file of pairs, English first.
SMALL = (
    "I'm here.\tJe suis là.\n"
    "I am here.\tJe suis là.\n"
    "I'm here.\tJe suis là.\n"
    "He's tall!\tIl est grand\u202f!\n"
    "Heaven can wait.\tLe ciel attendra.\n"
    "\"He's Paul.\"\t«\xa0C'est Paul.\xa0»\n"
    "He's a very very tall man.\tIl est immense.\n"
    "They're late.\tElles sont très très en retard, hélas.\n"
)


def without_latin_marks(sentence: str) -> str:
    kept, base = "", "a"
    for c in unicodedata.normalize("NFD", sentence):
        if unicodedata.category(c) != "Mn":
            base = c
        elif base.isascii() or "LATIN" in unicodedata.name(base, ""):
            continue
        kept += c
    return unicodedata.normalize("NFC", kept)


def normalise(
    sentence: str,
    *,
    lowercase: bool = True,
    strip_accents: bool = True,
    space_before: str = ".!?",
    keep: str | None = "a-zA-Z.!?",
) -> str:
    if lowercase:
        sentence = sentence.lower()
    sentence = sentence.strip()
    if strip_accents:
        sentence = without_latin_marks(sentence)
    sentence = "".join(f" {c}" if c in space_before else c for c in sentence)
    return re.sub(f"[^{keep}]+", " ", sentence) if keep else sentence


def pairs(
    text: str, *, prefixes: Sequence[str] = SEMINAR_PREFIXES, max_words: int = 6
) -> list[tuple[list[str], list[str]]]:
    """French and English words of each pair that passes the filters; in the text, English is the first column."""
    found = []
    for line in text.split("\n"):
        if not line:
            continue
        english, french = (normalise(column) for column in line.split("\t")[:2])
        short = len(english.split(" ")) <= max_words and len(french.split(" ")) <= max_words
        if short and any(english.startswith(prefix) for prefix in prefixes):
            found.append((french.split(" "), english.split(" ")))
    return found


def number(sentences: Sequence[Sequence[str]]) -> tuple[list[str], list[list[int]]]:
    """The vocabulary of sentences, and their ids."""
    vocabulary = ["<sos>", "<eos>"]
    index = {"<sos>": 0, "<eos>": 1}
    rows = []
    for sentence in sentences:
        row = []
        for word in sentence:
            if word not in index:
                index[word] = len(vocabulary)
                vocabulary.append(word)
            row.append(index[word])
        rows.append([*row, 1])
    return vocabulary, rows


def loss_floor(found: Sequence[tuple[list[str], list[str]]], *, predict_sos: bool) -> float:
    """Mean loss per target position of a model that gives each translation its share of the source's pairs."""
    both = Counter((tuple(source), tuple(target)) for source, target in found)
    alone = Counter(tuple(source) for source, _ in found)
    losses = [
        -math.log(both[tuple(source), tuple(target)] / alone[tuple(source)]) / (len(target) + 1 + predict_sos)
        for source, target in found
    ]
    return sum(losses) / len(losses)
