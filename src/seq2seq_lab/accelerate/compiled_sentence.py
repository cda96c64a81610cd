"""Updates on single sentences, compiled: forward, back and the step of plain SGD in one call."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq_lab.accelerate.compiler import available
from seq2seq_lab.accelerate.select import plain_likelihood, plain_sgd, unknown_module, unknown_plan
from seq2seq_lab.accelerate.sentence_updates import DropoutMasks, SentenceUpdates
from seq2seq_lab.data.batches import Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.feeders.argmax import ArgMax
from seq2seq_lab.forcing.feeders.base import WordFeeder
from seq2seq_lab.forcing.feeders.gumbel import GumbelArgMax
from seq2seq_lab.forcing.feeders.sample import Sample
from seq2seq_lab.forcing.feeders.uniform import Uniform
from seq2seq_lab.forcing.feeders.unk import Unk
from seq2seq_lab.forcing.plan import Plan, mean_of_first
from seq2seq_lab.models.attention.dot import DotAttention
from seq2seq_lab.models.decoder import Decoder
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.encoder import Encoder
from seq2seq_lab.models.rnn import RNN
from seq2seq_lab.models.seq2seq import Seq2Seq, gold_inputs
from seq2seq_lab.training.update import EagerUpdates, Job, Made

# Exact class → the attributes that it may have beside its parameters and modules.
KNOWN: dict[type, tuple[str, ...]] = {
    Seq2Seq: (),
    Encoder: ("bridge", "unmasked_positions"),
    Decoder: ("attention",),
    RNN: ("hidden_size",),
    Dropout: ("p", "site"),
    nn.ModuleList: (),
    nn.GRU: tuple(vars(nn.GRU(1, 1))),
    nn.Embedding: tuple(vars(nn.Embedding(1, 1))),
    nn.Linear: tuple(vars(nn.Linear(1, 1))),
    DotAttention: (),
}


# Exact classes of what a plan may feed; None is the arg-max.
FEEDERS = (type(None), ArgMax, Sample, GumbelArgMax, Uniform, Unk)


class CompiledSentence:
    """Updates on single sentences by plain SGD on a CPU, compiled by Numba."""

    def refuses(self, job: Job) -> str | None:
        """Why a job is not for it; None where it is."""
        if job.batch_size != 1:
            return f"it is for updates on single sentences, not for loader.batch_size={job.batch_size}"
        if job.device.type != "cpu":
            return f"it is for the CPU, and the model is on {job.device}"
        if job.gradient_clip is not None:
            return "it does not clip gradients"
        reason = unknown_module(job.model, KNOWN) or plain_likelihood(job.objective)
        reason = reason or unknown_plan(job.plan, FEEDERS)
        reason = reason or plain_sgd(job.optimizer, job.model.parameters())
        if reason := reason or _unknown_setting(job.model):
            return reason
        return available(str(next(job.model.parameters()).dtype).removeprefix("torch."))

    def updates(self, job: Job) -> "CompiledUpdates":
        """Its updates of a job."""
        return CompiledUpdates(job)


def _unknown_setting(model: Seq2Seq) -> str | None:
    """What is not the default in the settings of PyTorch's own modules."""
    encoder, decoder = model.encoder, model.decoder
    if len(encoder.rnn.layers) != len(decoder.rnn.layers):
        return "encoder and decoder have different numbers of layers"
    for module in model.modules():
        if isinstance(module, nn.GRU) and not _is_plain(module):
            return "a GRU is bidirectional, without bias, or has several layers or dropout of its own"
        if isinstance(module, nn.Linear) and "bias" not in dict(module.named_parameters()):
            return "a linear layer has no bias"
        if isinstance(module, nn.Embedding) and (
            module.max_norm is not None
            or module.scale_grad_by_freq
            or module.sparse
            or module.padding_idx is not None
        ):
            return "an embedding has settings that it does not know"
    parameters = [parameter for _, parameter in model.named_parameters(remove_duplicate=False)]
    if len({parameter.data_ptr() for parameter in parameters}) != len(parameters):
        return "parameters share memory"
    dtypes = {parameter.dtype for parameter in parameters}
    known = dtypes in ({torch.float32}, {torch.float64}) and all(each.is_contiguous() for each in parameters)
    return None if known else "parameters are not all contiguous and of one type, float32 or float64"


def _is_plain(gru: nn.GRU) -> bool:
    return gru.num_layers == 1 and gru.bias and not gru.bidirectional and not gru.dropout and gru.batch_first


class CompiledUpdates(EagerUpdates):
    """The updates of a block in one compiled call; where a plan needs an earlier pass or feeds mixtures, eager ones."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        encoder, decoder = job.model.encoder, job.model.decoder
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

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> Made:
        """Make the updates of the block's N pairs."""
        if unknown_plan(plan, FEEDERS):
            return super().__call__(block, plan, draws)
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
        made = torch.from_numpy(losses).to(self.job.model.decoder.output.weight.dtype)
        return Made(made, mean_of_first(plan.gold, block.target_lengths))

    def _fed(self, block: Block, plan: Plan, draws: Draws) -> "_Fed":
        feeder, own, words = plan.feeder, plan.own, gold_inputs(block.target)
        size = self.job.model.decoder.output.out_features
        nowhere = torch.zeros_like(own)
        if isinstance(feeder, Uniform):
            return _Fed(feeder.words(draws, words, own, size), nowhere)
        if isinstance(feeder, Unk):
            return _Fed(words, nowhere, zero=own)
        if not isinstance(feeder, WordFeeder) or not own.any():
            return _Fed(words, own)
        return _Fed(words, own, feeder.scale, feeder.noise(draws, words.shape[1], size, 0))

    def _masks(self, block: Block, draws: Draws, zero: Tensor | None) -> DropoutMasks | None:
        """Masks of dropout; the decoder's inputs are zero where `zero` [N, T] is True."""
        encoder, decoder = self.job.model.encoder, self.job.model.decoder
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
    """What `SentenceUpdates.block` is given of feeding, and where the decoder's inputs are zero."""

    words: Tensor
    own: Tensor
    scale: float = 1.0
    noise: Tensor | None = None
    zero: Tensor | None = None


def _mask(dropout: nn.Module, draws: Draws, positions: int, size: int) -> Tensor:
    assert isinstance(dropout, Dropout)
    return dropout.mask(draws, positions, size)
