"""Several trained models as one: the mean of their probabilities decides on each symbol."""

import json
import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.part import Scorer
from seq2seq_lab.models.interface import Decoded, Model
from seq2seq_lab.runs.loaded import LoadedRun
from seq2seq_lab.runs.run import Run


class Ensemble(Model):
    """The logarithm of the mean probability of each next word.

    The input of the decoder is what each model is fed, side by side; memory and state are tuples, one of each model.

    Args:
        models: of the same target vocabulary, whose scores are those of `Model.forward`.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        super().__init__()
        assert not any(each.overrides_forward for each in models)
        self.models = nn.ModuleList(models)
        word = torch.zeros(1, 1, dtype=torch.int64)
        self.sizes = [each.embed(word).shape[2] for each in models]

    @property
    def members(self) -> Sequence[Model]:
        """The models."""
        return cast(Sequence[Model], self.models)

    @property
    def target_vocabulary_size(self) -> int:
        return self.members[0].target_vocabulary_size

    def encode(
        self, source: Tensor, source_lengths: Tensor | None = None, draws: Draws | None = None
    ) -> tuple[Any, ...]:
        return tuple(each.encode(source, source_lengths, draws) for each in self.members)

    def embed(self, words: Tensor) -> Tensor:
        return torch.cat([each.embed(words) for each in self.members], dim=2)

    def embed_mixture(self, weights: Tensor) -> Tensor:
        return torch.cat([each.embed_mixture(weights) for each in self.members], dim=2)

    def first_state(self, memory: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(each.first_state(own) for each, own in zip(self.members, memory, strict=True))

    def decode(
        self,
        inputs: Tensor,
        memory: tuple[Any, ...],
        state: tuple[Any, ...],
        *,
        draws: Draws | None = None,
        first: int = 0,
    ) -> tuple[Decoded, tuple[Any, ...]]:
        parts = zip(self.members, inputs.split(self.sizes, dim=2), memory, state, strict=True)
        made = [each.decode(*own, draws=draws, first=first) for each, *own in parts]
        scores = torch.stack([decoded.logits.log_softmax(dim=2) for decoded, _ in made])
        mean = scores.logsumexp(dim=0) - math.log(len(made))
        return Decoded(mean, None), tuple(after for _, after in made)


class LoadedEnsemble(LoadedRun):
    """Several runs as one.

    Raises:
        UserError: they have different words.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        super().__init__(runs[0])
        loaded = [LoadedRun(each) for each in runs]
        for each in loaded:
            if each.vocabularies.target.words != self.vocabularies.target.words:
                raise UserError(f"{each.run.folder}: it has other words than {runs[0].folder}")
        self._model = Ensemble([each.model for each in loaded]).eval()

    @property
    def model(self) -> Model:
        return self._model


def scores(runs: Sequence[Run], beams: Sequence[int]) -> tuple[int, dict[int, dict[str, float]]]:
    """The number of sources of the test part of the first of several runs, and beam → scores of the runs as one."""
    rows = [
        json.loads(line)
        for line in runs[0]
        .evaluations["test"]
        .path.with_suffix(".jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    ]
    one = {
        row["source"]: row["references"] for row in rows
    }  # a source counts once, as in the evaluation of a run
    together, scorer = LoadedEnsemble(runs), Scorer([*one.values()], graded=False)
    return len(one), {beam: scorer(together.translate([*one], beam=beam)) for beam in beams}
