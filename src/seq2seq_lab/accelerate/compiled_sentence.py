"""Compiled updates on single sentences: forward pass, backward pass and the SGD step in one call."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq_lab.accelerate.compiler import available
from seq2seq_lab.accelerate.known import unknown_plan, unsupported
from seq2seq_lab.accelerate.sentence_updates import DropoutMasks, SentenceUpdates
from seq2seq_lab.data.batches import Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.feeders.argmax import ArgMax
from seq2seq_lab.forcing.feeders.base import WordFeeder
from seq2seq_lab.forcing.feeders.gumbel import GumbelArgMax
from seq2seq_lab.forcing.feeders.sample import Sample
from seq2seq_lab.forcing.feeders.uniform import Uniform
from seq2seq_lab.forcing.feeders.unk import UnknownWord
from seq2seq_lab.forcing.feeders.zero import Zero
from seq2seq_lab.forcing.plan import Plan, mean_over_words
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.interface import gold_inputs
from seq2seq_lab.models.seq2seq import Seq2Seq
from seq2seq_lab.training.update import EagerUpdates, Job, UpdateResult, joined

# Exact classes of what a plan may feed; None is the arg-max.
FEEDERS = (type(None), ArgMax, Sample, GumbelArgMax, Uniform, UnknownWord, Zero)

_MOST_NOISE = (
    2**24
)  # numbers that are drawn at once: [N, T, V] of a block, or else of one pair after the other


class CompiledSentence:
    """Updates on single sentences by plain SGD on a CPU, compiled by Numba."""

    def refuses(self, job: Job) -> str | None:
        """The reason why a job is not supported; None if it is."""
        if job.batch_size != 1:
            return f"only single sentences are supported, not loader.batch_size={job.batch_size}"
        if job.device.type != "cpu":
            return f"only the CPU is supported, but the model is on {job.device}"
        if job.gradient_clip is not None:
            return "gradient clipping is not supported"
        if reason := unsupported(job, FEEDERS):
            return reason
        return available(str(next(job.model.parameters()).dtype).removeprefix("torch."))

    def updates(self, job: Job) -> "CompiledUpdates":
        """The updates of a supported job."""
        return CompiledUpdates(job)


class CompiledUpdates(EagerUpdates):
    """Makes the updates of a block in one compiled call; if a plan needs an earlier pass or mixtures, eagerly."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        assert isinstance(job.model, Seq2Seq)  # as `refuses` has found: only its parts are known here
        encoder, decoder = job.model.encoder, job.model.decoder
        self.sides = encoder, decoder
        combine = decoder.attention.combine if decoder.attention is not None else None
        self.compiled = SentenceUpdates(
            encoder_embedding=encoder.embedding.weight,
            encoder_layers=[tuple(layer.parameters()) for layer in encoder.rnn.layers],
            decoder_embedding=decoder.embedding.weight,
            decoder_layers=[tuple(layer.parameters()) for layer in decoder.rnn.layers],
            combine=None if combine is None else (combine.weight, combine.bias),
            output=(decoder.output.weight, decoder.output.bias),
            positions=encoder.unmasked_positions or 0,
        )

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> UpdateResult:
        """Make the updates of the block's N pairs."""
        if unknown_plan(plan, FEEDERS):
            return super().__call__(block, plan, draws)
        numbers = block.target.numel() * self.job.model.target_vocabulary_size
        if isinstance(plan.feeder, WordFeeder) and numbers > _MOST_NOISE and len(block.shapes) > 1:
            parts = zip(block.shapes, block.split(), strict=True)
            return joined(
                [
                    self(part, plan.rows(shape.rows, part.target.shape[1]), draws[shape.rows])
                    for shape, part in parts
                ]
            )
        fed = self._fed(block, plan, draws)
        losses, _ = self.compiled.block(
            block.source.numpy(),
            block.source_lengths.numpy(),
            block.target.numpy(),
            block.target_lengths.numpy(),
            fed.words.numpy(),
            fed.own.numpy(),
            lr=self.job.optimizer.param_groups[0]["lr"],
            scale=fed.scale,
            noise=None if fed.noise is None else fed.noise.numpy(),
            dropout=self._masks(block, draws, fed.zero),
        )
        made = torch.from_numpy(losses).to(next(self.job.model.parameters()).dtype)
        return UpdateResult(made, mean_over_words(plan.gold, block.target_lengths))

    def _fed(self, block: Block, plan: Plan, draws: Draws) -> "_Fed":
        feeder, own, words = plan.feeder, plan.own, gold_inputs(block.target)
        size = self.job.model.target_vocabulary_size
        none = torch.zeros_like(own)
        if isinstance(feeder, Uniform):
            return _Fed(feeder.words(draws, words, own, size, plan.unk), none)
        if isinstance(feeder, UnknownWord) and plan.unk is not None:
            return _Fed(words.masked_fill(own, plan.unk), none)
        if isinstance(feeder, UnknownWord | Zero):
            return _Fed(words, none, zero=own)
        if not isinstance(feeder, WordFeeder) or not own.any():
            return _Fed(words, own)
        return _Fed(words, own, feeder.scale, feeder.noise(draws, words.shape[1], size, 0))

    def _masks(self, block: Block, draws: Draws, zero: Tensor | None) -> DropoutMasks | None:
        """Dropout masks; they also set the decoder's inputs to zero where `zero` [N, T] is True."""
        encoder, decoder = self.sides
        drops = any(isinstance(module, Dropout) and module.active for module in self.job.model.modules())
        found: list[Tensor | None] = []
        for part, positions in ((encoder, block.source.shape[1]), (decoder, block.target.shape[1])):
            embedded = _mask(part.dropout, draws, positions, part.embedding.embedding_dim) if drops else None
            between = [
                _mask(each, draws, positions, part.rnn.hidden_size) for each in part.rnn.dropouts if drops
            ]
            found += [embedded, torch.stack(between, dim=1) if between else None]
        if zero is not None:
            kept = (~zero).float().unsqueeze(2).expand(-1, -1, decoder.embedding.embedding_dim)
            found[2] = kept if found[2] is None else found[2] * kept
        return DropoutMasks(*found) if drops or zero is not None else None


class _Fed(NamedTuple):
    """The arguments of `SentenceUpdates.block` for feeding, and the positions where the decoder's inputs are zero."""

    words: Tensor
    own: Tensor
    scale: float = 1.0
    noise: Tensor | None = None
    zero: Tensor | None = None


def _mask(dropout: nn.Module, draws: Draws, positions: int, size: int) -> Tensor:
    assert isinstance(dropout, Dropout)
    return dropout.mask(draws, positions, size)
