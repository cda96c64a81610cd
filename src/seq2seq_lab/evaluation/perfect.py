"""The perfect model: it has exactly the data's distribution of translations, where that is known.

What a measure says of it is what the measure says of a model without any fault.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.task import Distribution
from seq2seq_lab.data.vocabulary import EOS, SOS, SPECIAL_WORDS, Vocabulary
from seq2seq_lab.models.interface import Decoded, Model


class Perfect(Model):
    """A model whose next word has exactly the probability that it has in the data.

    Its state is the number of what was fed so far: a source and the words after it. A word that cannot follow has the
    score −∞. After a prefix that no translation has, the data's distribution is not defined; there all words are
    equally probable.

    Args:
        distribution: of the data.
        source_vocabulary, target_vocabulary: of words; the target's contains all words of all translations.
        predict_sos: whether `<sos>` is the first word to predict.
    """

    def __init__(
        self,
        *,
        distribution: Distribution,
        source_vocabulary: Vocabulary,
        target_vocabulary: Vocabulary,
        predict_sos: bool = False,
    ) -> None:
        super().__init__()
        self.states = _States(distribution, target_vocabulary, 2 if predict_sos else 1)
        self.vocabulary = source_vocabulary

    @property
    def target_vocabulary_size(self) -> int:
        return len(self.states.vocabulary)

    def encode(
        self, source: Tensor, source_lengths: Tensor | None = None, draws: Draws | None = None
    ) -> Tensor:
        """The numbers of the states before the first word, [B]."""
        return torch.tensor(
            [self.states.of(" ".join(self.vocabulary.decode(ids))) for ids in source.tolist()]
        )

    def embed(self, words: Tensor) -> Tensor:
        return words.unsqueeze(2).double()

    def embed_mixture(self, weights: Tensor) -> Tensor:
        raise TypeError("no state follows a mixture of words")

    def first_state(self, memory: Tensor) -> Tensor:
        return memory

    def decode(
        self, inputs: Tensor, memory: Tensor, state: Tensor, *, draws: Draws | None = None, first: int = 0
    ) -> tuple[Decoded, Tensor]:
        rows, scores = state.tolist(), []
        for words in inputs.squeeze(2).long().t().tolist():
            rows = [self.states.after(row, word) for row, word in zip(rows, words, strict=True)]
            scores.append(torch.stack([self.states.scores[row] for row in rows]))
        return Decoded(torch.stack(scores, dim=1), None), torch.tensor(rows)


_Fed = tuple[str, tuple[int, ...]]  # a source, and the ids that were fed after it
_OUTSIDE = 0  # the state after a prefix of no translation


class _States:
    """The states, numbered as they are met, and the scores of the next word in each."""

    def __init__(self, distribution: Distribution, vocabulary: Vocabulary, marks: int) -> None:
        self.distribution = distribution
        self.vocabulary = vocabulary
        self.marks = marks  # how often <sos> is fed before the first word
        self.fed: list[_Fed | None] = [None]
        self.scores: list[Tensor] = [torch.zeros(len(vocabulary), dtype=torch.float64)]
        self.numbers: dict[_Fed, int] = {}

    def of(self, source: str, ids: tuple[int, ...] = ()) -> int:
        """The number of a state."""
        fed = (source, ids)
        if fed not in self.numbers:
            following = self._following(source, ids)
            if ids and not following:
                return _OUTSIDE
            scores = torch.full_like(self.scores[_OUTSIDE], -torch.inf)
            for word, probability in following.items():
                scores[word] = torch.tensor(probability, dtype=torch.float64).log()
            self.numbers[fed] = len(self.fed)
            self.fed.append(fed)
            self.scores.append(scores)
        return self.numbers[fed]

    def after(self, state: int, word: int) -> int:
        """The number of the state after one more word."""
        fed = self.fed[state]
        return _OUTSIDE if fed is None else self.of(fed[0], (*fed[1], word))

    def _following(self, source: str, ids: tuple[int, ...]) -> Mapping[int, float]:
        """Id → probability, after some ids; empty after a prefix of no translation."""
        marks, words = ids[: self.marks], ids[self.marks :]
        if marks != (SOS,) * len(marks) or {SOS, EOS} & set(words):
            return {}
        if len(marks) < self.marks:
            return {SOS: 1.0} if marks else {}
        prefix = [self.vocabulary.words[word] for word in words]
        following = self.distribution.next_words(source, prefix)
        return {
            EOS if word == SPECIAL_WORDS[EOS] else self.vocabulary.encode([word])[0]: probability
            for word, probability in following.items()
        }
