"""What pairs are of: what a source is called, what its words are, and whether BLEU says something about its targets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Distribution(Protocol):
    """The distribution of the translations of normalised sources, where it is known."""

    def next_words(self, source: str, prefix: Sequence[str]) -> Mapping[str, float]:
        """The probability of each word, or ``<eos>``, after a prefix of a translation; empty if the prefix has none."""
        ...

    def translations(self, source: str) -> Sequence[str]:
        """All translations of a source; empty if there are none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Task:
    """What the pairs of a corpus are.

    Attributes:
        item: what a pair's source is, in the singular: ``sentence``, ``command``, ``word``, ``graph``.
        token: what the target is a sequence of, in the singular: ``word``, ``action``, ``phone``, ``node``.
        graded: whether a target that is partly right has a worth that BLEU and chrF measure, as a translation has. If
            not, they are neither shown nor computed in an evaluation.
        form: the name of the form of a normalised source, for results by form; ``None``: sources have no forms.
    """

    item: str = "sentence"
    token: str = "word"
    graded: bool = True
    form: Callable[[str], str] | None = None

    @property
    def items(self) -> str:
        """The plural of ``item``."""
        return f"{self.item}s"

    def to_dict(self) -> dict[str, Any]:
        """The task as plain data, for the summary of a run."""
        return {"item": self.item, "token": self.token, "graded": self.graded}


def with_article(noun: str) -> str:
    """`a word`, `an action`."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


TRANSLATION = Task()
"""Sentences and their translations: the task of a source that does not say otherwise."""
