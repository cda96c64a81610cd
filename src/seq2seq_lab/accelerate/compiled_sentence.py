"""Updates on single sentences, compiled: forward, back and the step of plain SGD in one call."""

import torch
from torch import Tensor, nn

from seq2seq_lab.accelerate.compiler import available
from seq2seq_lab.accelerate.select import Job, plain_sgd, unknown_module
from seq2seq_lab.accelerate.sentence_updates import DropoutMasks, SentenceUpdates
from seq2seq_lab.data.batches import Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.decoding.unroll import argmax
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models.attention.dot import DotAttention
from seq2seq_lab.models.decoder import Decoder
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.encoder import Encoder
from seq2seq_lab.models.rnn import RNN
from seq2seq_lab.models.seq2seq import Seq2Seq, gold_inputs
from seq2seq_lab.training.update import EagerUpdates

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
        reason = unknown_module(job.model, KNOWN) or plain_sgd(job.optimizer, job.model.parameters())
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
    """The updates of a block in one compiled call; where a plan chooses words in a way of its own, eager ones."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.model, job.optimizer)
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

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> Tensor:
        """The losses of the block's pairs, as `EagerUpdates` gives them."""
        if plan.choose is not argmax:
            return super().__call__(block, plan, draws)
        losses, _ = self.compiled.block(
            block.source.numpy(),
            block.source_lengths.numpy(),
            block.target.numpy(),
            block.target_lengths.numpy(),
            gold_inputs(block.target).numpy(),
            plan.own.numpy(),
            lr=self.optimizer.param_groups[0]["lr"],
            dropout=self._masks(block, draws),
        )
        return torch.from_numpy(losses).to(self.model.decoder.output.weight.dtype)

    def _masks(self, block: Block, draws: Draws) -> DropoutMasks | None:
        encoder, decoder = self.model.encoder, self.model.decoder
        if not any(isinstance(module, Dropout) and module.active for module in self.model.modules()):
            return None
        found = []
        for part, positions in ((encoder, block.source.shape[1]), (decoder, block.target.shape[1])):
            embedded = _mask(part.dropout, draws, positions, part.embedding.embedding_dim)
            between = [_mask(each, draws, positions, part.rnn.hidden_size) for each in part.rnn.dropouts]
            found += [embedded, torch.stack(between, dim=1).numpy() if between else None]
        return DropoutMasks(*found)


def _mask(dropout: nn.Module, draws: Draws, positions: int, size: int) -> Tensor:
    assert isinstance(dropout, Dropout)
    return dropout.mask(draws, positions, size)
