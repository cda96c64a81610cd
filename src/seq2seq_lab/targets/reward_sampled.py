"""Reward-augmented maximum likelihood: a sentence near the reference, in the place of the reference."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from seq2seq_lab.data.batches import Block, Shape
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import EOS, SOS, Vocabulary
from seq2seq_lab.targets import sampling
from seq2seq_lab.targets.base import Fed, LoadModel, Target
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.targets.sampling import Distance, Lexicon, Weight
from seq2seq_lab.targets.wanted import Words


class RewardSampled(Target):
    """The gold word of a sampled reference ỹ, with q(ỹ | y) ∝ exp(−distance(ỹ, y)/τ).

    The whole reference is replaced before anything is fed (RAML: Norouzi et al. 2016,
    https://arxiv.org/abs/1609.00150); with `source_tau` words of the source too (SwitchOut: Wang et al. 2018,
    https://arxiv.org/abs/1808.07512). The number of edits is drawn by its weight, places and words uniformly.
    An update then is one of the gold word. Each epoch draws anew; the samples of a pair have its dropout and coins.

    Args:
        tau: τ > 0 of the reference; null: it stays.
        source_tau: τ > 0 of the source, by Hamming distance; null: it stays.
        distance: `hamming` substitutes words; `edit` also inserts and deletes, at most as many as there are words. The
            edit distance is then at most the number of edits drawn.
        weight: of a number of edits; see `sampling.log_weights`.
        samples: of each pair, all in its update, whose loss is their mean.

    Raises:
        ValueError: a value is out of its range.
    """

    prepared = ("target_edits", "target_off_gold")

    def __init__(
        self,
        *,
        tau: float | None = 0.85,
        source_tau: float | None = None,
        distance: Distance = "hamming",
        weight: Weight = "rescaled",
        samples: int = 1,
    ) -> None:
        for name, value in (("tau", tau), ("source_tau", source_tau)):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value}")
        if tau is None and source_tau is None:
            raise ValueError("tau must be given, or source_tau; with neither the target is gold")
        if samples < 1:
            raise ValueError(f"samples must be at least 1, got {samples}")
        self.tau = tau
        self.source_tau = source_tau
        self.distance: Distance = distance
        self.weight: Weight = weight
        self.samples = samples
        self.lexicons: dict[str, Lexicon] = {}

    def load(self, vocabularies: Mapping[str, Vocabulary], load_model: LoadModel) -> None:
        """Note which words there are.

        Raises:
            ValueError: a side is sampled that has a single word.
        """
        self.lexicons = {side: Lexicon.of(each) for side, each in vocabularies.items()}
        for name, tau, side in (("tau", self.tau, "target"), ("source_tau", self.source_tau, "source")):
            if tau is not None and self.lexicons[side].size < 2:
                raise ValueError(f"{name} must be null: the {side} vocabulary has no other word to sample")

    @property
    def of_update(self) -> Target:
        return Gold()

    def __call__(self, fed: Fed) -> Words:
        return Gold()(fed)

    def prepare(self, block: Block, draws: Draws) -> tuple[Block, Mapping[str, Tensor]]:
        """The block with sampled references and sources, `samples` of each pair one after the other."""
        rows = torch.arange(len(block), device=block.target.device).repeat_interleave(self.samples)
        source, source_lengths = block.source[rows], block.source_lengths[rows]
        gold, gold_lengths = block.target[rows], block.target_lengths[rows]
        target, lengths, edits = gold, gold_lengths, torch.zeros_like(gold_lengths)
        draws = draws.to(block.target.device)
        if self.tau is not None:
            target, lengths, edits = self._references(gold, gold_lengths, draws)
        if self.source_tau is not None:
            source = self._sources(source, source_lengths, draws)
        shapes = []
        for shape in block.shapes:
            rows_there = slice(shape.rows.start * self.samples, shape.rows.stop * self.samples)
            there = lengths[rows_there]
            shapes.append(Shape(rows_there, shape.source, (int(there.min()), int(there.max()))))
        prepared = Block(
            np.repeat(block.indices, self.samples),
            source,
            source_lengths,
            target,
            lengths,
            shapes,
            block.first_update,
            block.updates,
        )
        off = _off_gold(target, lengths, gold, gold_lengths)
        return prepared, {"target_edits": edits.float(), "target_off_gold": off}

    def _references(self, gold: Tensor, lengths: Tensor, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        """Sampled references, their lengths, and the number of edits of each."""
        first = int(bool((gold[:, 0] == SOS).all()))  # it may be a word to predict
        words, numbers = gold[:, first:-1], lengths - 1 - first
        lexicon, uniform = self.lexicons["target"], partial(self._uniform, draws, "target")
        edits = self._edits(numbers, lexicon, self.tau, self.distance, uniform)
        if self.distance == "hamming":
            changed = sampling.substituted(words, numbers, edits, lexicon, uniform)
        else:
            changed, numbers = sampling.edited(words, numbers, edits, lexicon, uniform)
        longest = int(numbers.max()) + first + 1
        target = gold.new_full((len(gold), longest), EOS)
        target[:, :first] = SOS
        wide = min(changed.shape[1], longest - first)
        target[:, first : first + wide] = changed[:, :wide]
        ended = torch.arange(longest, device=gold.device) >= (numbers + first).unsqueeze(1)
        return target.masked_fill(ended, EOS), numbers + first + 1, edits

    def _sources(self, source: Tensor, lengths: Tensor, draws: Draws) -> Tensor:
        lexicon, uniform = self.lexicons["source"], partial(self._uniform, draws, "source")
        edits = self._edits(lengths - 1, lexicon, self.source_tau, "hamming", uniform)
        return sampling.substituted(source, lengths - 1, edits, lexicon, uniform)

    def _edits(
        self,
        numbers: Tensor,
        lexicon: Lexicon,
        tau: float | None,
        distance: Distance,
        uniform: sampling.Uniform,
    ) -> Tensor:
        assert tau is not None
        weights = sampling.log_weights(
            int(numbers.max()), lexicon.size, tau, distance=distance, weight=self.weight
        )
        return sampling.drawn(weights.to(numbers.device)[numbers], uniform("edits"))

    def _uniform(self, draws: Draws, side: str, purpose: str, *sizes: int) -> Tensor:
        """Random numbers of each sample of each pair, [N · samples, *sizes]."""
        each = [draws.uniform(f"target/{side}/{purpose}/{number}", *sizes) for number in range(self.samples)]
        return torch.stack(each, dim=1).flatten(0, 1)


def _off_gold(target: Tensor, lengths: Tensor, gold: Tensor, gold_lengths: Tensor) -> Tensor:
    """The share of positions of each target where gold has another word or none, [N]."""
    common = min(target.shape[1], gold.shape[1])
    places = torch.arange(common, device=target.device)
    inside = (places < lengths.unsqueeze(1)) & (places < gold_lengths.unsqueeze(1))
    equal = ((target[:, :common] == gold[:, :common]) & inside).sum(dim=1)
    return 1 - equal / lengths
